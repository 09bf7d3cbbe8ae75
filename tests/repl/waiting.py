"""A chat as a process of its own, whose model keeps it waiting: ``loading``, ``reading``, ``answering`` or ``stuck``.

Stuck is the main thread itself, inside a long operation of a library.
"""

import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mistralrs_cli.cli.app import entry
from mistralrs_cli.messages import Message
from mistralrs_cli.repl import loading
from tests.repl.fakes import FakeEngine, load_at_once

LONG = 600.0


class Stuck(FakeEngine):
    """Prepares a prompt for ever, and hears nothing meanwhile."""

    def stream(self, messages: Sequence[Message], sampling: Any) -> Any:
        time.sleep(0.5)  # until the question is on the disk
        print("stuck", file=sys.stderr, flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", (1 << 31) - 1)


def answering(messages: Sequence[Message]) -> Iterator[str]:
    for _ in iter(lambda: time.sleep(0.02), 0):
        yield "and on "


def reading(messages: Sequence[Message]) -> Iterator[str]:
    time.sleep(LONG)
    yield "never"


if __name__ == "__main__":
    how = sys.argv.pop(1)
    patch = pytest.MonkeyPatch()
    load_at_once(Stuck("") if how == "stuck" else FakeEngine(reading if how == "reading" else answering), patch)
    if how == "loading":

        class Slow(loading.Loading):
            def _run(self) -> None:
                time.sleep(LONG)

        patch.setattr("mistralrs_cli.repl.model.Loading", Slow)
    entry()
