"""Commands beside a server with several models: each finds the one that it asks for, or says why not."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mistralrs import Runner
from mistralrs_cli.attach import engines
from mistralrs_cli.attach.record import EngineRecord, own_folder, record_of
from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.checkup import running
from mistralrs_cli.options import ModelOptions, ServerOptions
from mistralrs_cli.registry import ModelEntry, ModelRegistry, ModelSpec
from mistralrs_cli.server.app import create_app
from mistralrs_cli.server.private import create_private_app
from mistralrs_cli.server.process import Server, listen_on_path
from mistralrs_cli.server.service import Service
from tests.fake_model import FakeFamily, FakeModels
from tests.registry.test_registry import until
from tests.terminal.streams import Stdin

from .serving import played
from .test_attach import Real

Captured = pytest.CaptureFixture[str]
MODELS = {"demo": ModelOptions("demo"), "OTHER/MODEL": ModelOptions("OTHER/MODEL", quant="4")}


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A runtime folder of its own, and an empty stdin."""
    monkeypatch.setattr(sys, "stdin", Stdin())
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # a socket's path must be short
        monkeypatch.setenv("MISTRALRS_RUNTIME_DIR", folder)
        yield


@contextlib.contextmanager
def two_models() -> Iterator[Service]:
    """A server with both, of which neither is loaded, and the records by which they are found."""
    own_folder()

    def start(entry: ModelEntry[Any]) -> Any:
        return played(FakeModels(f"I am {entry.name}.", family=FakeFamily()), entry.name)

    registry = ModelRegistry[Any]([ModelSpec(name, options) for name, options in MODELS.items()], start)
    service = Service(ServerOptions(grace=1.0), "demo", 4, registry)
    lines: list[dict[str, object]] = []
    public = create_app(service, lines.append)
    records: list[EngineRecord] = []
    private, sockets = [], []
    for model in service.models:
        options = model.entry.spec.options
        checkpoint: Any = type("Checkpoint", (), {"name": options.model_id, "family": FakeFamily()})
        private.append(create_private_app(public, service, checkpoint, lines.append, model=model))
        record = record_of(options, ("image", "audio", "video"), Path())
        records.append(replace(record, address="127.0.0.1:1234", watched={}))
        sockets.append(listen_on_path(str(records[-1].socket)))
    server = Server(service, public, private)
    thread = threading.Thread(target=server.serve_on, args=(None, lambda service: None, sockets))
    thread.start()
    for record in records:
        record.write()
    try:
        yield service
    finally:
        server.should_exit = True
        thread.join(30)
        for record in records:
            record.remove()
    assert not thread.is_alive()


def test_each_model_is_found_and_loaded_there(capsys: Captured) -> None:
    with two_models() as service:
        assert [said and said["state"] for _, said in engines()] == ["unloaded", "unloaded"]
        here = Real("It is here.", family=FakeFamily())
        assert main(["run", "-m", "OTHER/MODEL", "--quant", "4", "-i", "Who?"], here) == 0
        assert capsys.readouterr().out.strip() == "I am OTHER/MODEL."
        assert [model.entry.status for model in service.models] == ["unloaded", "loaded"]
        assert main(["run", "-m", "demo", "-i", "Who?"], here) == 0
        assert capsys.readouterr().out.strip() == "I am demo."
        assert here.calls == []
        states = {record.model: said and (said["state"], said["requests"]) for record, said in engines()}
        assert states == {"demo": ("ready", 1), "OTHER/MODEL": ("ready", 1)}
        assert "OTHER/MODEL (ready, process " in running().text
        assert main(["ps"]) == 0
        assert capsys.readouterr().out.count("127.0.0.1:1234") == 2
        process = str(os.getpid())
        with Runner.connect() as remote:
            assert remote.list_models_with_status() == [("demo", "loaded"), ("OTHER/MODEL", "loaded")]
            assert main(["stop", "OTHER/MODEL"]) == 0
            assert f"unloaded OTHER/MODEL; the server at 127.0.0.1:1234 goes on, mistralrs stop {process} ends it" in (
                capsys.readouterr().err
            )
            until(lambda: remote.get_model_status("OTHER/MODEL") == "unloaded")
            remote.reload_model("OTHER/MODEL")
            assert remote.is_model_loaded("OTHER/MODEL")
            remote.unload_model("OTHER/MODEL")
            assert not remote.is_model_loaded("OTHER/MODEL")
        assert main(["stop", process]) == 0
        assert "ended the engine of " in capsys.readouterr().err


def test_a_command_says_why_it_loads_the_model_itself(capsys: Captured) -> None:
    with two_models():
        here = Real("It is here.", family=FakeFamily())
        assert main(["run", "-m", "OTHER/MODEL", "-i", "Who?"], here) == 0
        shown = capsys.readouterr()
        assert shown.out.strip() == "It is here."
        assert (
            "note: the server at 127.0.0.1:1234 has it with other options (--quant 4), so OTHER/MODEL is loaded here"
        ) in shown.err
        assert main(["run", "-m", "ANOTHER/ONE", "-i", "Who?"], here) == 0
        assert "the server at" not in capsys.readouterr().err
