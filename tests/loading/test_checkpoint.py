"""Finding a checkpoint: what is there is opened, what is not is told apart."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistralrs_cli.errors import MistralrsError, ModelError, ModelNotFound, OptionError, UnsupportedModel
from mistralrs_cli.loading.checkpoint import Checkpoint, hub_token, open_checkpoint
from mistralrs_cli.options import ModelOptions


def opened(model: object, **more: Any) -> Checkpoint:
    return open_checkpoint(ModelOptions(model_id=str(model), **more))


def test_the_demo_model_is_there_without_a_name() -> None:
    checkpoint = open_checkpoint(ModelOptions())
    assert checkpoint.name == "demo"
    assert checkpoint.family.modalities == {"image", "audio", "video"}
    assert any(checkpoint.folder.glob("*.safetensors"))


def test_a_folder_is_read_without_its_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava", "vision_config": {}}))
    checkpoint = opened(tmp_path)
    assert checkpoint.family.modalities == {"image"}
    assert checkpoint.repository is None


@pytest.mark.parametrize(
    ("files", "error", "says"),
    [
        ({}, UnsupportedModel, "no config.json"),
        ({"model.gguf": "x"}, UnsupportedModel, "GGUF"),
        ({"config.json": "{"}, UnsupportedModel, "is not JSON: line 1"),
        ({"config.json": "[]"}, UnsupportedModel, "not an object"),
        ({"config.json": "{}"}, UnsupportedModel, "model_type"),
        ({"config.json": '{"model_type": "../x"}'}, UnsupportedModel, "model_type"),
    ],
)
def test_a_folder_that_is_no_checkpoint(
    tmp_path: Path, files: dict[str, str], error: type[MistralrsError], says: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=says) as caught:
        opened(tmp_path)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_a_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    with pytest.raises(UnsupportedModel, match="is a file"):
        opened(file)


@pytest.mark.parametrize("name", ["x" * 3000, "~no-such-user/x"])
def test_a_path_that_cannot_be_looked_up(name: str) -> None:
    with pytest.raises(ModelNotFound, match="cannot be looked up"):
        opened(name)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "nowhere", "a/b/c"])
def test_a_missing_folder(name: str) -> None:
    with pytest.raises(ModelNotFound, match=r"no folder|neither a folder"):
        opened(name)


def test_a_hub_id_without_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="cannot be reached") as caught:
        opened("google/gemma-4-E4B-it", hf_cache=str(tmp_path))
    assert "demo" in (caught.value.hint or "")


def test_a_name_that_is_no_hub_id() -> None:
    with pytest.raises(ModelNotFound, match="not a model id"):
        opened("two--dashes/../x y".replace("/../", "/"))


def test_a_connection_that_breaks_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise httpx.RemoteProtocolError("Server disconnected.\nFor more information ask it.")

    monkeypatch.setattr("huggingface_hub.snapshot_download", broken)
    with pytest.raises(ModelError, match=r"Server disconnected\.$"):
        opened("some/model")


def test_remote_code_is_downloaded_only_for_who_trusts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def snapshot(*_: object, allow_patterns: list[str], **__: object) -> str:
        asked.append(allow_patterns)
        return str(tmp_path)

    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    opened("some/model")
    opened("some/model", trust_remote_code=True)
    assert ["*.py" in patterns for patterns in asked] == [False, True]


def test_token_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("hf_file\n")
    monkeypatch.setenv("A_TOKEN", "hf_env")
    assert hub_token("cache") is None
    assert hub_token("none") is False
    assert hub_token("literal:hf_x:y") == "hf_x:y"
    assert hub_token("env:A_TOKEN") == "hf_env"
    assert hub_token(f"path:{file}") == "hf_file"
    monkeypatch.setenv("A_TOKEN", "hf_env\n")
    assert hub_token("env:A_TOKEN") == "hf_env"


@pytest.mark.parametrize("text", ["", " \n", "hf_two words", "hf_line\nbreak", "hf_é"])
def test_no_error_repeats_what_is_no_usable_token(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An HTTP library refuses such a header by printing it."""
    file = tmp_path / "token"
    file.write_text(text)
    monkeypatch.setenv("A_TOKEN", text)
    for source in ("env:A_TOKEN", f"path:{file}", f"literal:{text}"):
        with pytest.raises(OptionError) as caught:
            opened("some/model", token_source=source)
        assert "hf_" not in caught.value.message


def test_a_token_without_its_kind_is_not_repeated() -> None:
    with pytest.raises(OptionError) as caught:
        hub_token("hf_secret")
    assert "secret" not in caught.value.message
    assert "secret" not in repr(ModelOptions(token_source="literal:hf_secret"))


@pytest.mark.parametrize("source", ["", "literal:", "env:NOT_SET_ANYWHERE", "path:/nowhere", "vault:x", "cache:x"])
def test_token_sources_that_are_wrong(source: str) -> None:
    with pytest.raises(OptionError):
        hub_token(source)
