"""A chat with an engine of another process: as with one of its own, and on with one of its own when that is gone."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.attach import AttachedEngine
from mistralrs_cli.cli.app import main
from mistralrs_cli.options import AttachOptions, ModelOptions
from mistralrs_cli.start import Models
from tests.attach.serving import played, serving
from tests.fake_model import FakeFamily, FakeModels
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]


class Here(FakeModels):
    """What is loaded in the chat's process; looks for engines as the program does."""

    def attach(self, options: ModelOptions, how: AttachOptions, note: Callable[[str], None] = lambda text: None) -> Any:
        return Models.attach(self, options, how, note)


def test_a_chat_attaches(capsys: Captured, monkeypatch: pytest.MonkeyPatch, samples: Path) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(f"What is {samples / 'shapes.png'}?\nAnd now?\n".encode()))
    asked = FakeModels(["It is ", "red."], family=FakeFamily())
    with serving() as (service, _, _):
        service.backend = played(asked)
        assert main(["run", "-m", "demo"], Here("no", family=FakeFamily())) == 0
    assert capsys.readouterr().out == "It is red.\nIt is red.\n"
    assert [len(messages) for messages in asked.asked] == [1, 3]
    assert asked.media == [("image", str(samples / "shapes.png"))]


def test_a_chat_goes_on_when_the_engine_ends(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone by the time of the second question, as the first answer has shown already."""
    with serving() as (service, _, record):
        there = FakeModels("There.", family=FakeFamily())
        service.backend = played(there)
        here = Here("Here.", family=FakeFamily())
        monkeypatch.setattr(AttachedEngine, "lost", property(lambda engine: bool(there.asked)))
        monkeypatch.setattr(sys, "stdin", Stdin(b"Where?\nWhere?\n"))
        assert main(["run", "-m", "demo"], here) == 0
        assert record.path.exists()
    shown = capsys.readouterr()
    assert shown.out == "There. \nHere. \n"
    assert "note: the engine of demo has ended or does not respond; loading the model here" in shown.err
    assert here.calls == ["open", "load", "close"]


def test_one_more_question_from_the_shell_attaches(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"What?\n"))
    asked = FakeModels(["It is ", "red."], family=FakeFamily())
    with serving() as (service, _, _):
        service.backend = played(asked)
        assert main(["run", "-m", "demo"], Here("no", family=FakeFamily())) == 0
        monkeypatch.setattr(sys, "stdin", Stdin())
        assert main(["run", "--continue", "-i", "And now?"], Here("no", family=FakeFamily())) == 0
    assert capsys.readouterr() == ("It is red.\nIt is red.\n", "")
    assert [len(messages) for messages in asked.asked] == [1, 3]
