"""A chat that is typed into a pipe: real keys, the real loop, a screen that only remembers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from mistralrs_cli.cli.app import main
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.repl import devices
from mistralrs_cli.start import Models
from tests.fake_model import Answer, FakeModels
from tests.terminal.streams import Stdin, Stream

ENTER, ALT_ENTER, LEAVE, TAB, CLEAR = "\r", "\x1b\r", "\x04", "\t", "\x03"
KEYS = (ENTER, LEAVE, TAB, CLEAR)
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Session:
    """What a chat has shown and left behind."""

    def __init__(self, out: Stream, err: Stream, code: int) -> None:
        self.raw = out.getvalue()
        self.out, self.err = SEQUENCE.sub("", self.raw), SEQUENCE.sub("", err.getvalue())
        self.notes = " ".join(self.err.split())  # a long path may break any line
        self.code = code

    @property
    def kept(self) -> Store:
        """Where it was kept."""
        return Store()


Type = Callable[..., Session]
Fake = Callable[..., FakeModels]


class Given:
    """The models that the chats of a test are held with: the real ones, unless it sets others."""

    models = Models()


@pytest.fixture
def given() -> Given:
    """Shared by what types, what pipes and what sets the models."""
    return Given()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Chats are kept in a folder of the test, in which it also works."""
    monkeypatch.setenv("MISTRALRS_DATA_DIR", str(tmp_path / "data"))
    for name in ("EDITOR", "VISUAL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "data"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, given: Given) -> Iterator[Type]:
    """``typed("line", …, LEAVE)``: what a person types, each text followed by Enter unless it is a key."""
    with create_pipe_input() as keys:

        def run(*lines: str, words: str = "--plain", terminal: bool = False) -> Session:
            out, err = Stream(terminal=terminal), Stream(terminal=True)
            monkeypatch.setattr(sys, "stdin", Stdin(terminal=True))
            monkeypatch.setattr(sys, "stdout", out)
            monkeypatch.setattr(sys, "stderr", err)
            monkeypatch.setattr(devices, "keyboard", lambda: keys)
            monkeypatch.setattr(
                devices, "screen", lambda console: Vt100_Output(Stream(), lambda: Size(rows=24, columns=80))
            )
            for line in lines:
                keys.send_text(line if line in KEYS or line.endswith(ENTER) else line + ENTER)
            return Session(out, err, main(["run", *words.split()], given.models))

        yield run


@pytest.fixture
def fake(given: Given) -> Fake:
    """Lets a fake engine answer in place of the demo model, whose checkpoint is opened all the same."""

    def install(*answers: Answer, **how: Any) -> FakeModels:
        given.models = models = FakeModels(*answers, **how)
        return models

    return install


@pytest.fixture
def files(samples: Path, tmp_path: Path) -> Path:
    """The folder of the chat, with samples under names that people have."""
    here = tmp_path / "here"
    for name, source in {
        "photo.jpg": "photo.jpg",
        "My [best] photo (1).png": "red_circle.png",
        "beeps.wav": "beeps.wav",
        "clip.gif": "clip.gif",
        "red_circle.png": "red_circle.png",
    }.items():
        (here / name).write_bytes((samples / source).read_bytes())
    (here / "page.jpg").write_text("<html></html>")
    return here
