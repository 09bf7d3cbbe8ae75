"""A chat as a process of its own, whose model keeps it waiting: ``loading``, ``reading``, ``answering`` or ``stuck``.

Stuck is the main thread itself, inside a long operation of a library.
"""

import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mistralrs_cli.cli.app import entry
from mistralrs_cli.messages import Message
from tests.fake_model import FakeEngine, FakeModels

LONG = 600.0


class StuckEngine(FakeEngine):
    """Prepares a prompt for ever, and hears nothing meanwhile."""

    def stream(self, messages: Sequence[Message], sampling: Any) -> Any:
        time.sleep(0.5)  # until the question is on the disk
        print("stuck", file=sys.stderr, flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", (1 << 31) - 1)


class Stuck(FakeModels):
    """Starts that engine."""

    def start(self, checkpoint: Any, options: Any, **given: Any) -> Any:
        return StuckEngine(self, checkpoint.name)


class Loading(FakeModels):
    """Does not get to the end of it."""

    def start(self, checkpoint: Any, options: Any, **given: Any) -> Any:
        time.sleep(LONG)


def answering(messages: Sequence[Message]) -> Iterator[str]:
    for _ in iter(lambda: time.sleep(0.02), 0):
        yield "and on "


def reading(messages: Sequence[Message]) -> Iterator[str]:
    time.sleep(LONG)
    yield "never"


MODELS = {
    "loading": Loading(),
    "reading": FakeModels(reading),
    "answering": FakeModels(answering),
    "stuck": Stuck(),
}

if __name__ == "__main__":
    entry(MODELS[sys.argv.pop(1)])
