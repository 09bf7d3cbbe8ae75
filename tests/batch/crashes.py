"""A batch that is killed again and again: each a forked process with a fake model, whose output is watched.

``python -m tests.batch.crashes COUNT ROWS WORDS…`` runs ``mistralrs batch WORDS…``, which has ``ROWS`` rows, kills it
``COUNT`` times after a number of bytes drawn by chance, and lets it end. It prints how many bytes were there each time.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mistralrs_cli.cli.app import main
from mistralrs_cli.messages import Message
from tests.fake_model import FakeFamily, FakeModels

STEP = 0.002
PATIENCE = 60.0
FILLING = "words " * 1500
"""An answer of several pages of memory: a kill may leave a part of it."""


left = sys.maxsize
"""Rows that may still be answered in this process; then it hangs until it is killed."""


def slowly(messages: Sequence[Message]) -> Iterator[str]:
    """The words of the question, after a moment."""
    global left
    left -= 1
    time.sleep(STEP if left >= 0 else PATIENCE)
    yield f"{messages[-1].text} {FILLING}"


def models() -> FakeModels:
    """A model that repeats the question."""
    return FakeModels(slowly, family=FakeFamily())


def size(paths: Sequence[Path]) -> int:
    """How large the output is by now."""
    return sum(path.stat().st_size for path in paths if path.exists())


def begin(words: Sequence[str], rows: int) -> int:
    """A run in a process of its own, which answers so many rows."""
    global left
    left = rows
    if process := os.fork():
        return process
    code = 1
    try:
        code = main(["batch", *words], models())
    finally:
        os._exit(code)


def killed(words: Sequence[str], paths: Sequence[Path], rows: int, more: int, moment: float) -> int:
    """Kill a run a moment after so many more bytes are there; their number."""
    wanted, end = size(paths) + more, time.monotonic() + PATIENCE
    process = begin(words, rows)
    while size(paths) < wanted and time.monotonic() < end:
        time.sleep(0.0005)
    time.sleep(moment)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return size(paths)


if __name__ == "__main__":
    count, rows, words = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    output = Path(words[words.index("-o") + 1])
    paths = [output.with_name(f"{output.name}.partial.jsonl")] if output.suffix == ".csv" else [output]
    warm = output.with_name("warm.jsonl")
    main(["batch", *words, "-o", str(warm)], models())  # everything is imported once, before the forks
    row = warm.stat().st_size // rows
    warm.unlink()
    chance = random.Random(7)
    share = rows // count - 1
    for _ in range(count):
        print(killed(words, paths, share, chance.randrange(row * (share - 1)), chance.uniform(0, 0.004)), flush=True)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(begin(words, rows), 0)[1]))
