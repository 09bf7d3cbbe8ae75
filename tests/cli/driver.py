"""``mistralrs`` as a process of its own with a fake model: ``python -m tests.cli.driver SCENE WORDS…``."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mistralrs_cli.cli.app import entry

from .fakes import FakeStack, install


def slowly() -> Iterator[str]:
    """An answer that takes a minute."""
    for _ in range(1200):
        yield "word "
        time.sleep(0.05)


class BusyLoading(FakeStack):
    """A library that does not come back to Python for a long while."""

    def load(self, checkpoint: Any, options: Any, progress: Any = None, processor: Any = None) -> Any:
        print("busy", file=sys.stderr, flush=True)
        return hashlib.pbkdf2_hmac("sha256", b"x", b"y", 500_000_000)


class ChattyLoading(FakeStack):
    """A library that writes to stdout from Python and from below it."""

    def load(self, checkpoint: Any, options: Any, progress: Any = None, processor: Any = None) -> Any:
        subprocess.run(["echo", "a program chats on stdout"], check=True)
        return super().load(checkpoint, options, progress)


SCENES: dict[str, FakeStack] = {
    "plain": ChattyLoading(),
    "slow": FakeStack(answer=slowly()),  # type: ignore[arg-type]
    "long": FakeStack(answer=["line\n"] * 100_000),
    "busy": BusyLoading(),
    "failing": FakeStack(answer=["It is ", RuntimeError("the ground\nopened")]),
}

if __name__ == "__main__":
    install(SCENES[sys.argv.pop(1)], pytest.MonkeyPatch())
    entry()
