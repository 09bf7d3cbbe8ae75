"""Checkpoints on a hub: found, downloaded, resumed, kept; and what is said where that fails."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub import constants

from mistralrs_cli.errors import MistralrsError, ModelAccessDenied, ModelError, ModelNotFound
from mistralrs_cli.loading import open_checkpoint
from mistralrs_cli.loading.checkpoint import fetch_weights, tokenizer_of
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.resources import DEMO_CHECKPOINT

from .hub import Hub, Repository, serving

pytestmark = pytest.mark.slow

NAME = "someone/little-model"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model in two shards, asked by this process; its cache is ``tmp_path/cache``."""
    folder = tmp_path / "model"
    (folder / "original").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    shards = {"model-00001-of-00002.safetensors": b"a", "model-00002-of-00002.safetensors": b"b"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {file: file for file in shards}}))
    for name, letter in shards.items():
        (folder / name).write_bytes(letter * 100_000)
    (folder / "consolidated.safetensors").write_bytes(b"c")
    (folder / "pytorch_model.bin").write_bytes(b"p")
    (folder / "modeling_own.py").write_text("raise SystemExit")
    (folder / "original" / "model.safetensors").write_bytes(b"o")
    with serving() as hub:
        hub.repositories[NAME] = Repository(folder)
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
        huggingface_hub.close_session()
        yield hub
        huggingface_hub.close_session()


@pytest.fixture
def options(tmp_path: Path) -> Callable[..., ModelOptions]:
    def made(**more: object) -> ModelOptions:
        defaults = {"model_id": NAME, "hf_cache": str(tmp_path / "cache"), "token_source": "none"}
        return ModelOptions(**{**defaults, **more})  # type: ignore[arg-type]

    return made


Options = Callable[..., ModelOptions]


def test_small_files_come_first_and_weights_when_they_are_needed(hub: Hub, options: Options) -> None:
    checkpoint = open_checkpoint(options())
    assert checkpoint.repository == NAME
    assert sorted(hub.fetched) == ["config.json", "model.safetensors.index.json"]
    folder = fetch_weights(checkpoint, options())
    assert (folder / "model-00002-of-00002.safetensors").read_bytes() == b"b" * 100_000
    assert set(hub.fetched) == {
        "config.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }


def test_nothing_is_fetched_twice(hub: Hub, options: Options) -> None:
    fetch_weights(open_checkpoint(options()), options())
    before = list(hub.fetched)
    fetch_weights(open_checkpoint(options()), options())
    assert hub.fetched == before


def test_a_transfer_that_breaks_off_goes_on_where_it_was(hub: Hub, options: Options) -> None:
    hub.breaks["model-00001-of-00002.safetensors"] = 1
    folder = fetch_weights(open_checkpoint(options()), options())
    assert (folder / "model-00001-of-00002.safetensors").read_bytes() == b"a" * 100_000
    assert hub.ranges == ["model-00001-of-00002.safetensors from 50000"]


def test_after_a_download_that_failed_the_next_keeps_what_is_whole(
    hub: Hub, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.breaks["model-00002-of-00002.safetensors"] = 1000
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    checkpoint = open_checkpoint(options())
    with pytest.raises(ModelError) as caught:
        fetch_weights(checkpoint, options())
    assert caught.value.exit_code == 3
    assert "again" in (caught.value.hint or "")
    hub.breaks.clear()
    hub.fetched.clear()
    folder = fetch_weights(checkpoint, options())
    assert hub.fetched == ["model-00002-of-00002.safetensors"]
    assert (folder / "model-00002-of-00002.safetensors").read_bytes() == b"b" * 100_000


def test_what_was_downloaded_answers_offline(hub: Hub, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_weights(open_checkpoint(options()), options())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    assert list(fetch_weights(open_checkpoint(options()), options()).glob("*-00002-of-*"))


def test_offline_without_its_weights_a_model_is_not_half_loaded(
    hub: Hub, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = open_checkpoint(options())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    with pytest.raises(ModelNotFound, match="cache"):
        fetch_weights(checkpoint, options())


def test_offline_without_a_cache(hub: Hub, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    with pytest.raises(ModelNotFound, match="cache") as caught:
        open_checkpoint(options())
    assert caught.value.exit_code == 3


def test_a_revision_by_name(hub: Hub, options: Options) -> None:
    hub.repositories[NAME].revisions = ("main", "v2")
    assert open_checkpoint(options(revision="v2")).family.modalities == frozenset()
    with pytest.raises(ModelNotFound, match="no revision v3"):
        open_checkpoint(options(revision="v3"))


def refused(call: Callable[[], object], error: type[MistralrsError]) -> MistralrsError:
    with pytest.raises(error) as caught:
        call()
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return caught.value


def test_a_gated_model_says_where_to_agree(hub: Hub, options: Options) -> None:
    hub.repositories[NAME].gated = True
    for token in ("none", "literal:hf_stranger"):
        error = refused(partial(open_checkpoint, options(token_source=token)), ModelAccessDenied)
        assert "gated" in error.message
        assert f"{hub.address}/{NAME}" in (error.hint or "")
        assert "hf_stranger" not in error.message + (error.hint or "")


def test_a_socks_proxy_without_its_package_says_what_to_install(
    hub: Hub, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise ImportError("Using SOCKS proxy, but the 'socksio' package is not installed.")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ModelError, match="needs the package socksio") as caught:
        open_checkpoint(options())
    assert "pip install socksio" in str(caught.value.hint)


def test_what_the_network_says_comes_without_numbers(
    hub: Hub, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ModelError, match=r"failed: Connection refused\.$"):
        open_checkpoint(options())


def test_a_gated_model_opens_for_who_agreed(hub: Hub, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories[NAME].gated = True
    hub.tokens.add("hf_friend")
    monkeypatch.setenv("MY_TOKEN", "hf_friend")
    assert open_checkpoint(options(token_source="env:MY_TOKEN")).name == NAME


def test_a_missing_and_a_private_model_look_alike(hub: Hub, options: Options) -> None:
    hub.repositories["someone/secret"] = Repository(Path("/nowhere"), private=True)
    for name in ("someone/nothing", "someone/secret"):
        error = refused(partial(open_checkpoint, options(model_id=name)), ModelNotFound)
        assert f"no model {name}" in error.message
        assert "login" in (error.hint or "") or "--token-source" in (error.hint or "")


def test_a_hub_that_fails_is_not_called_a_missing_model(hub: Hub, options: Options) -> None:
    hub.repositories[NAME].folder.joinpath("config.json").unlink()
    refused(lambda: open_checkpoint(options()), ModelError)


def test_python_files_stay_on_the_hub_unless_trusted(hub: Hub, options: Options) -> None:
    open_checkpoint(options())
    assert "modeling_own.py" not in hub.fetched
    open_checkpoint(options(trust_remote_code=True))
    assert "modeling_own.py" in hub.fetched


def test_the_command_answers_with_a_model_of_the_hub(hub: Hub, tmp_path: Path, samples: Path) -> None:
    """Through the front door, in a process that knows the hub by HF_ENDPOINT alone."""
    hub.repositories[NAME] = Repository(DEMO_CHECKPOINT)
    picture = str(samples / "red_circle.png")
    command = [sys.executable, "-m", "mistralrs_cli", "run", "-m", NAME, "--image", picture, "-i", "What colour is it?"]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"},
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert "red" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_tokenizer_is_fetched_alone(hub: Hub, options: Callable[..., ModelOptions], tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"m")
    hub.repositories["someone/words"] = Repository(folder)
    found = Path(tokenizer_of("someone/words", options(revision="of-the-model")))
    assert found.read_text() == "{}"
    assert [file.name for file in found.parent.iterdir()] == ["tokenizer.json"]
    with pytest.raises(ModelNotFound, match="someone/none"):
        tokenizer_of("someone/none", options())
