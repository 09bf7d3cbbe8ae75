"""A chat as a process of its own, with a model that thinks and then tells of two houses, slowly."""

import time
from collections.abc import Iterator, Sequence

import pytest

from mistralrs_cli.cli.app import entry
from mistralrs_cli.events import ReasoningDelta
from mistralrs_cli.messages import Message
from tests.repl.fakes import FakeEngine, load_at_once
from tests.terminal.test_markdown import ANSWER, pieces


def tell(messages: Sequence[Message]) -> Iterator[ReasoningDelta | str]:
    """A thought, then an answer that never ends when it is asked to go on."""
    yield from map(ReasoningDelta, ["Two", " houses,", " they", " say."])
    for piece in pieces(ANSWER, 1):
        time.sleep(0.002)
        yield piece
    while "go on" in messages[-1].text:
        time.sleep(0.02)
        yield "and on "


if __name__ == "__main__":
    load_at_once(FakeEngine(tell), pytest.MonkeyPatch())
    entry()
