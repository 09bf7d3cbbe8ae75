"""``mistralrs`` as a process of its own with a fake model: ``python -m tests.cli.driver SCENE WORDS…``."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from mistralrs_cli.cli.app import entry
from tests.fake_model import FakeFamily, FakeModels


def slowly(messages: object) -> Iterator[str]:
    """An answer that takes a minute."""
    for _ in range(1200):
        yield "word "
        time.sleep(0.05)


class BusyLoading(FakeModels):
    """A library that does not come back to Python for a long while."""

    def start(self, checkpoint: Any, options: Any, **given: Any) -> Any:
        print("busy", file=sys.stderr, flush=True)
        return hashlib.pbkdf2_hmac("sha256", b"x", b"y", 500_000_000)


class ChattyLoading(FakeModels):
    """A library that writes to stdout from Python and from below it."""

    def start(self, checkpoint: Any, options: Any, **given: Any) -> Any:
        subprocess.run(["echo", "a program chats on stdout"], check=True)
        return super().start(checkpoint, options, **given)


FAMILY = FakeFamily()
SCENES: dict[str, FakeModels] = {
    "plain": ChattyLoading(["It is ", "red."], family=FAMILY),
    "slow": FakeModels(slowly, family=FAMILY),
    "long": FakeModels(["line\n"] * 100_000, family=FAMILY),
    "busy": BusyLoading(family=FAMILY),
    "failing": FakeModels(["It is ", RuntimeError("the ground\nopened")], family=FAMILY),
}

if __name__ == "__main__":
    entry(SCENES[sys.argv.pop(1)])
