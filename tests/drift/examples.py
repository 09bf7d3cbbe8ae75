"""The commands in the Markdown pages and what they print.

A command stands in a ``console`` block behind ``$``, its standard output below it; ``…`` stands for whatever
changes from run to run. ``python -m tests.drift.examples --write`` runs them all and fills in what they print today;
without ``--write`` it shows what would change.
"""

import atexit
import difflib
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.drift.source import ROOT, tracked
from tests.drift.warm import Warm

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """One command, and the lines its page promises."""

    command: str
    output: str


def pages() -> list[Path]:
    """The Markdown pages that hold examples."""
    markdown = [path for path in tracked() if path.suffix == ".md"]
    return [path for path in markdown if BLOCK.search(path.read_text(encoding="utf-8"))]


def examples(page: Path) -> list[Example]:
    """Every example of a page, in order."""
    return [example for block in BLOCK.findall(page.read_text(encoding="utf-8")) for example in read(block)]


def read(block: str) -> Iterator[Example]:
    """The examples of one block; a command goes on in the next line after a backslash."""
    for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = piece.splitlines(keepends=True)
        length = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\\n"))
        yield Example("".join(lines[:length]).rstrip("\n"), "".join(lines[length:]).rstrip("\n"))


@cache
def first_seen() -> frozenset[str]:
    """The first command of ``README.md``."""
    return frozenset(example.command for example in examples(ROOT / "README.md")[:1])


@cache
def warm() -> Warm:
    """The process that answers quickly, started with the first command that needs it and ended with this process."""
    started = Warm()
    atexit.register(started.close)
    return started


@cache
def run(command: str) -> str:
    """What a command prints on standard output, run by the shell in the repository's root.

    Standard error is a terminal, so progress is shown there as it is to a person. The first command of all starts a
    process of its own; the others share what is imported (``tests/drift/warm.py``).
    """
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if command not in first_seen():
        folders.insert(0, str(warm().folder))
    path = os.pathsep.join(folders)
    environment = {**os.environ, "PATH": path, "COLUMNS": "80", "HF_HUB_OFFLINE": "1"}
    master, slave = pty.openpty()
    drain = threading.Thread(target=discard, args=(master,), daemon=True)
    drain.start()
    try:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=environment | {"TERM": "xterm-256color"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
            text=True,
        )
    finally:
        os.close(slave)
        drain.join()
        os.close(master)
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def discard(terminal: int) -> None:
    """Read what is written to a terminal until the last program has left it."""
    with suppress(OSError):
        while os.read(terminal, 1 << 16):
            continue


def agree(expected: str, actual: str) -> bool:
    """Whether ``actual`` is what was promised, with anything in the place of each ``…``."""
    pattern = "[^\n]*".join(re.escape(piece) for piece in expected.split("…"))
    return re.fullmatch(pattern, actual) is not None


def refreshed(match: re.Match[str]) -> str:
    """A block with today's output; what still agrees stays as it is."""
    text = ""
    for example in read(match[1]):
        actual = run(example.command)
        output = example.output if agree(example.output, actual) else actual
        text += f"$ {example.command}\n{output}\n" if output else f"$ {example.command}\n"
    return f"```console\n{text}```"


def main(arguments: list[str]) -> int:
    """Show what changed; with ``--write``, put it into the pages."""
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = BLOCK.sub(refreshed, old)
        name = str(page.relative_to(ROOT))
        print("\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), name, name, n=1, lineterm="")))
        if "--write" in arguments:
            page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
