"""``cache`` and ``login``: what was downloaded, and who the hub takes the user for."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from mistralrs_cli.cli.app import main
from mistralrs_cli.loading import open_checkpoint
from mistralrs_cli.options import ModelOptions
from tests.loading.hub import Hub, Repository, serving
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        huggingface_hub.close_session()
        yield hub
        huggingface_hub.close_session()


@pytest.fixture
def cached(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A cache that holds a large and a small model."""
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    for name, padding in (("some/large", 5000), ("other/small", 10)):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", "padding": "x" * padding}))
        hub.repositories[name] = Repository(folder)
        open_checkpoint(ModelOptions(model_id=name, hf_cache=str(tmp_path / "cache"), token_source="none"))
    return str(tmp_path / "cache")


def test_the_list_has_the_largest_first(cached: str, capsys: Captured) -> None:
    assert main(["cache", "list", "--hf-cache", cached]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert [line.split()[0] for line in lines] == ["model", "some/large", "other/small"]
    assert "4.9 KiB" in lines[1]
    assert lines[1].endswith("download (main)")
    assert "2 models" in shown.err


def test_the_list_as_an_object(cached: str, capsys: Captured) -> None:
    assert main(["cache", "list", "--hf-cache", cached, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["folder"] == cached
    assert [model["model"] for model in listed["models"]] == ["some/large", "other/small"]
    assert listed["models"][0]["bytes"] > 5000


def test_an_empty_cache_has_no_table(tmp_path: Path, capsys: Captured) -> None:
    assert main(["cache", "list", "--hf-cache", str(tmp_path / "nothing")]) == 0
    assert capsys.readouterr().out == ""


def names(cached: str, capsys: Captured) -> list[str]:
    main(["cache", "list", "--hf-cache", cached, "--json"])
    return [model["model"] for model in json.loads(capsys.readouterr().out)["models"]]


def test_a_model_is_deleted(cached: str, capsys: Captured) -> None:
    assert main(["cache", "delete", "some/large", "--hf-cache", cached, "--yes"]) == 0
    assert "4.9 KiB freed" in capsys.readouterr().err
    assert names(cached, capsys) == ["other/small"]


def test_a_quantized_copy_is_listed_and_goes_with_its_model(
    cached: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "own" / "quantized" / "some-copy"
    copy.mkdir(parents=True)
    (copy / "quantized.json").write_text(json.dumps({"model": "some/large", "option": "--quant 4"}))
    (copy / "model.safetensors").write_bytes(bytes(9000))
    monkeypatch.setenv("MISTRALRS_CACHE", str(tmp_path / "own"))
    assert main(["cache", "list", "--hf-cache", cached]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["some/large", "some/large", "other/small"]
    assert lines[1].endswith("copy for --quant 4")
    assert main(["cache", "delete", "some/large", "--hf-cache", cached, "--yes"]) == 0
    assert not copy.exists()
    assert names(cached, capsys) == ["other/small"]


def test_one_wrong_name_deletes_nothing(cached: str, capsys: Captured) -> None:
    assert main(["cache", "delete", "some/large", "some/typo", "--hf-cache", cached, "--yes"]) == 3
    assert "some/typo" in capsys.readouterr().err
    assert names(cached, capsys) == ["some/large", "other/small"]


@pytest.mark.parametrize(("typed", "left"), [(b"y\n", 1), (b"n\n", 2), (b"\n", 2), (b"", 2)])
def test_deleting_asks_first(
    cached: str, typed: bytes, left: int, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(typed, terminal=True))
    assert main(["cache", "delete", "some/large", "--hf-cache", cached]) == 0
    assert "Delete some/large (4.9 KiB)? [y/N]" in capsys.readouterr().err
    assert len(names(cached, capsys)) == left


def test_in_a_pipe_deleting_wants_yes(cached: str, capsys: Captured) -> None:
    assert main(["cache", "delete", "some/large", "--hf-cache", cached]) == 2
    assert "--yes" in capsys.readouterr().err
    assert len(names(cached, capsys)) == 2


@pytest.mark.parametrize("name", ["nope", "some/larg", "'; rm -rf /"])
def test_a_name_that_is_not_there_is_said_before_anything_is_asked(cached: str, name: str, capsys: Captured) -> None:
    assert main(["cache", "delete", name, "--hf-cache", cached]) == 3
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: {name} is not among the models here."
    assert ("some/large" in hint) == (name == "some/larg")


def test_cache_alone_shows_its_commands(capsys: Captured) -> None:
    assert main(["cache"]) == 0
    assert "delete" in capsys.readouterr().out


def logged_in(hub: Hub, home: Path, token: str) -> subprocess.CompletedProcess[str]:
    """``login`` in a process that knows the hub by HF_ENDPOINT, with the token on a pipe."""
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(home)}
    command = [sys.executable, "-m", "mistralrs_cli", "login"]
    return subprocess.run(command, env=environment, input=f"{token}\n", capture_output=True, text=True)


def test_a_good_token_is_kept(hub: Hub, tmp_path: Path) -> None:
    hub.tokens.add("hf_good")
    done = logged_in(hub, tmp_path, "hf_good")
    assert done.returncode == 0, done.stderr
    assert "logged in as friend" in done.stderr
    assert "hf_good" not in done.stderr + done.stdout
    assert (tmp_path / "token").read_text() == "hf_good"


def test_a_refused_token_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    done = logged_in(hub, tmp_path, "hf_bad")
    assert done.returncode == 3
    assert "does not accept" in done.stderr
    assert f"{hub.address}/settings/tokens" in done.stderr
    assert "hf_bad" not in done.stderr
    assert not (tmp_path / "token").exists()


def test_login_without_a_token() -> None:
    assert main(["login"]) == 2
    assert main(["login", "--token-source", "none"]) == 2


def test_login_without_a_network(capsys: Captured) -> None:
    """The tests run with HF_HUB_OFFLINE."""
    assert main(["login", "--token-source", "literal:hf_x"]) == 3
    assert "cannot be reached" in capsys.readouterr().err
