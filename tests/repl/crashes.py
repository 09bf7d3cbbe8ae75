"""Chats that are killed at random moments: each a forked process with a fake model, whose stdout is watched.

``python -m tests.repl.crashes FOLDER COUNT`` prints a JSON line for each: where it was kept, when it was killed, and
what it had shown by then, with times.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mistralrs_cli.messages import Message
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.repl import ChatRequest
from mistralrs_cli.repl import autosave as autosave
from mistralrs_cli.repl.loop import run_chat
from mistralrs_cli.terminal.console import Console
from tests.fake_model import FakeModels

LINES = ["what is a.png", "and b.png, is it like a.png?", "go on"]
WORDS = 40
STEP = 0.004
"""Seconds between two words."""

MOST = 8 * WORDS
"""Words after which a chat is killed at the latest: the last answer is then shown for most of a second."""

SLOW = 1.0
"""Seconds before the first word of a chat that is killed without having shown one."""

EARLY = 0.5
"""Seconds within which a chat without words is killed."""

PATIENCE = 60.0
AT_ONCE = 10


first_word = 0.0


def words(messages: Sequence[Message]) -> Iterator[str]:
    """An answer of numbered words; the last one goes on for ever."""
    number = 0
    time.sleep(first_word)
    while number < WORDS or messages[-1].text == LINES[-1]:
        time.sleep(STEP)
        yield f"w{number} "
        number += 1


def hold(folder: Path, lines: Sequence[str], stdout: int) -> None:
    """A chat of these lines."""
    os.environ["MISTRALRS_DATA_DIR"] = str(folder)
    reader, writer = os.pipe()
    os.write(writer, "".join(f"{line}\n" for line in lines).encode())
    os.close(writer)
    sys.stdin = os.fdopen(reader)
    sys.stdout = os.fdopen(stdout, "w")
    run_chat(ChatRequest(ModelOptions("demo"), quiet=True), Console(), FakeModels(words))


def begin(folder: Path, delay: float) -> tuple[int, int]:
    """A chat in a process of its own whose words come after a delay; its id, and where its stdout can be read."""
    global first_word
    reader, writer = os.pipe()
    if process := os.fork():
        os.close(writer)
        return process, reader
    os.close(reader)
    try:
        first_word = delay
        hold(folder, LINES, writer)
    finally:
        os._exit(0)


def kill_some(folders: Sequence[Path], chance: random.Random) -> None:
    """Chats side by side, each killed a moment after so many words, or a moment after its start."""
    chats: dict[int, tuple[int, Path]] = {}
    targets: dict[int, int] = {}
    for folder in folders:
        count = max(0, chance.randrange(-MOST // 10, MOST))
        process, reader = begin(folder, 0.0 if count else SLOW)
        chats[reader], targets[reader] = (process, folder), count
    ends = {
        reader: time.monotonic() + (PATIENCE if words else chance.uniform(0, EARLY))
        for reader, words in targets.items()
    }
    shown: dict[int, list[tuple[float, str]]] = {reader: [] for reader in chats}
    while ends:
        for reader in [reader for reader, end in ends.items() if end <= time.monotonic()]:
            process, folder = chats[reader]
            os.kill(process, signal.SIGKILL)
            killed = time.monotonic()
            os.waitpid(process, 0)
            while data := os.read(reader, 1 << 16):
                shown[reader].append((killed, data.decode()))
            os.close(reader)
            del ends[reader]
            print(json.dumps({"folder": str(folder), "killed": killed, "shown": shown[reader]}), flush=True)
        for reader in select.select([*ends], [], [], 0.002)[0] if ends else ():
            shown[reader].append((time.monotonic(), os.read(reader, 1 << 16).decode()))
            if 0 < targets[reader] <= sum(text.count("w") for _, text in shown[reader]):
                targets[reader] = 0
                ends[reader] = time.monotonic() + chance.uniform(0, 0.03)


if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    autosave.INTERVAL = 0.02
    answers = os.dup(1)
    hold(folder / "warm", LINES[:1], os.open(os.devnull, os.O_WRONLY))  # everything is imported once, before the forks
    sys.stdout = os.fdopen(answers, "w")
    chance = random.Random(7)
    for first in range(0, count, AT_ONCE):
        kill_some([folder / str(number) for number in range(first, min(count, first + AT_ONCE))], chance)
