"""Every test here: a fake model where it says so, and a silent stdin."""

import sys

import pytest

from mistralrs_cli.events import Done, Timing, Usage
from tests.fake_model import FakeFamily, FakeModels
from tests.terminal.streams import Stdin


@pytest.fixture(autouse=True)
def stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty pipe."""
    monkeypatch.setattr(sys, "stdin", Stdin())


@pytest.fixture
def models() -> FakeModels:
    """A fake model under any name, for ``main``; it says the same each time."""
    done = Done("stop", Usage(prompt_tokens=40, completion_tokens=21, image_tokens=10), Timing(0.5, 1.5, 0.4))
    return FakeModels(["It is ", "red."], family=FakeFamily(), done=done)
