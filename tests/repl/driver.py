"""A chat as a process of its own, with a model that thinks and then tells of two houses, slowly."""

import time
from collections.abc import Iterator, Sequence

from mistralrs_cli.cli.app import entry
from mistralrs_cli.events import ReasoningDelta
from mistralrs_cli.messages import Message
from tests.fake_model import FakeModels
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
    entry(FakeModels(tell))
