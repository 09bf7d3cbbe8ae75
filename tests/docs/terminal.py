"""A real pseudo-terminal for commands that run in this process, and what a person would see on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import threading
import time
from typing import IO, Any, Self, TextIO

import pytest

TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])")
ROWS, COLUMNS = 40, 100
PATIENCE = 60.0
MARK = b"\x00read\x00"
"""Written behind everything else, to know when all before it has been read."""


class Terminal:
    """Both ends of a pseudo-terminal: the program's streams, and everything that was written to them."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.seen = bytearray()
        self.marks = 0
        self.streams = [self.stream("r"), self.stream("w"), self.stream("w")]
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def stream(self, mode: str) -> IO[Any]:
        """A stream of the program's."""
        return os.fdopen(os.dup(self.slave), mode, encoding="utf-8", newline="" if mode == "r" else None)

    def read(self) -> None:
        """Take what is written until the last stream is closed."""
        while True:
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:  # the last stream is closed
                return
            if not data:
                return
            self.seen += data

    def attach(self, patch: pytest.MonkeyPatch, stdin: TextIO | None = None) -> None:
        """Put the streams in the place of this process's; ``stdin`` may be a pipe."""
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLUMNS", str(COLUMNS))
        for name, stream in zip(("stdin", "stdout", "stderr"), self.streams, strict=True):
            patch.setattr(sys, name, stream)
        if stdin is not None:
            patch.setattr(sys, "stdin", stdin)

    @property
    def text(self) -> str:
        """Everything that was written, control sequences and all."""
        for stream in self.streams[1:]:
            if not stream.closed:
                stream.flush()
        os.write(self.slave, MARK)
        self.marks += 1
        deadline = time.monotonic() + PATIENCE
        while self.seen.count(MARK) < self.marks and time.monotonic() < deadline:
            time.sleep(0.001)
        return self.seen.replace(MARK, b"").decode("utf-8", "replace")

    def close(self) -> None:
        """Close both ends."""
        for stream in self.streams:
            stream.close()
        os.close(self.slave)
        self.reader.join(PATIENCE)
        os.close(self.master)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def screen(text: str) -> list[str]:
    """The lines that are left of what was written to a terminal: redrawn and erased ones are gone."""
    lines, row, column = [""], 0, 0
    for _, number, letter, back, end, sign in TOKEN.findall(text):
        line = lines[row]
        if back:
            column = 0
        elif end:
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif sign:
            lines[row] = line[:column].ljust(column) + sign + line[column + 1 :]
            column += 1
        elif letter == "A":
            row = max(0, row - int(number or 1))
        elif letter == "K":
            lines[row] = line[:column] if number in ("", "0") else ""
        elif letter == "J":
            del lines[row + 1 :]
            lines[row] = line[:column]
    return [line.rstrip() for line in lines]


def cursor_shown(text: str) -> bool:
    """Whether the cursor is visible in the end."""
    return not text.rpartition("\x1b[?25")[2].startswith("l")
