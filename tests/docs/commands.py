"""The commands in the ``sh`` blocks of the Markdown pages, as a shell reads them.

``console`` blocks, which say what a command prints, are read by ``tests/drift/examples.py``.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.drift.source import ROOT, tracked

BLOCK = re.compile(r"^```(?:sh|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"(?:^|[|(] *)(mistralrs|curl) ", re.MULTILINE)
STUB = """\
#!/bin/sh
number=$(ls "$RECORD" | wc -l)
{ printf '%s\\0' "$@"; } > "$RECORD/$number.words"
cat > "$RECORD/$number.stdin"
"""
DIFF = """\
#!/bin/sh
printf -- '-A blue circle.\\n+A red circle.\\n'
"""


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of a block that call ``mistralrs``, or ``curl`` to ask a server that one of them started."""

    page: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.lines[0].split())}"


@dataclass(frozen=True, slots=True)
class Call:
    """What one call of ``mistralrs`` is given."""

    words: tuple[str, ...]
    stdin: bytes = b""


def blocks() -> list[Block]:
    """Every block of every page with such lines."""
    found = []
    for page in (path for path in tracked() if path.suffix == ".md"):
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            calls = tuple(line for line in lines(block) if PROGRAM.search(line))
            if any(program(line) == "mistralrs" for line in calls):
                found.append(Block(str(page.relative_to(ROOT)), calls))
    return found


def lines(block: str) -> Iterator[str]:
    """Whole lines, without comments: one goes on after a backslash, and until its quotation ends."""
    whole = ""
    for line in block.splitlines(keepends=True):
        whole += line
        try:
            shlex.split(whole, comments=True)
        except ValueError:
            continue
        if not whole.endswith("\\\n"):
            if not whole.lstrip().startswith("#"):
                yield whole.strip()
            whole = ""


def program(line: str) -> str:
    """``mistralrs`` or ``curl``."""
    found = PROGRAM.search(line)
    assert found is not None
    return found[1]


class Shell:
    """Bash, for which ``mistralrs`` is a script that writes down what it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record"
        self.record.mkdir()
        for name, text in {"mistralrs": STUB, "git": DIFF}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o700)

    def run(self, line: str) -> str:
        """What a line prints; it fails where the line does."""
        environment = {**os.environ, "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", f"set -e -o pipefail\n{line}"],
            env={**environment, "RECORD": str(self.record)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    def call(self, line: str) -> Call:
        """What the one call of ``mistralrs`` in a line is given: its words, and what a pipe brings."""
        self.run(line)
        (words,) = self.record.glob("*.words")
        stdin = words.with_suffix(".stdin")
        found = Call(tuple(words.read_text(encoding="utf-8").split("\0")[:-1]), stdin.read_bytes())
        words.unlink()
        stdin.unlink()
        return found
