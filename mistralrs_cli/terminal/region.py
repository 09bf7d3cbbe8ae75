"""The last lines of a terminal, redrawn in place while they still change."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len

from .encoding import writable
from .size import size_of

STYLES = re.compile(r"\x1b\[[0-9;]*m")
RULED = re.compile(r"[\s─━-]+")  # what depends on the width alone
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # what lies between appears at once, where a terminal knows this
ERASE = "\x1b[K"


class Region:
    """Lines at the foot of ``file``. Only what differs is written, in one piece, so nothing flickers.

    Lines hold styles but no other control sequences. The cursor rests on the line below them.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = writable(file)
        self.shown: list[str] = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal as it is now."""
        return size_of(self.file)

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines instead; of more than ``room`` the last ones."""
        lines = list(lines)[-room(self.size[1]) :]
        if lines != self.shown:
            self.replace(lines)
        self.shown = lines

    def keep(self, lines: Sequence[str]) -> None:
        """Show these lines for good: they scroll away like any other text."""
        self.replace(lines)
        self.shown = []

    def replace(self, lines: Sequence[str]) -> None:
        """Write what differs from what is shown.

        Each line is erased by itself: where the topmost is also that of the screen, erasing all below it would mean to
        tmux that the screen is cleared, and what stood there would be left in its history.
        """
        width, height = self.size
        same = 0
        while same < min(len(lines), len(self.shown)) and lines[same] == self.shown[same]:
            same += 1
        lines, shown = lines[same:], self.shown[same:]
        hidden = 0  # lines that a terminal which has become smaller has scrolled away
        while rows(shown[hidden:], width) > height - 1:
            hidden += 1
        lines, shown = lines[covered(lines, shown[:hidden]) :], shown[hidden:]
        up = rows(shown, width)
        left = up - rows(lines, width)
        text = f"\x1b[{up}A\r" if up else "\r"
        text += "".join(f"{ERASE}{line}\n" for line in lines)
        if left > 0:
            text += f"{ERASE}\x1b[B" * left + f"\x1b[{left}A"
        self.file.write(BEGIN + text + END)
        self.file.flush()


def room(height: int) -> int:
    """Lines that a screen shows of what still changes: all but the cursor's and one that does not change."""
    return max(1, height - 2)


def rows(lines: Iterable[str], width: int) -> int:
    """Rows that lines take; a terminal that has become narrower has wrapped what was there, but for some."""
    if not reflows():
        return sum(1 for _ in lines)
    return sum(max(1, -(-cell_len(STYLES.sub("", line)) // width)) for line in lines)


def reflows() -> bool:
    """Whether lines are wrapped again when the terminal's width changes; xterm and screen cut them instead."""
    if "TMUX" in os.environ:
        return True
    return not ({"XTERM_VERSION", "STY"} & os.environ.keys() or os.environ.get("TERM") == "linux")


def covered(lines: Sequence[str], gone: Sequence[str]) -> int:
    """How many of ``lines`` the ones that have scrolled away hold, perhaps broken at another width."""
    if list(lines[: len(gone)]) == list(gone):
        return len(gone)
    letters = sum(map(weight, gone))
    for number, line in enumerate(lines):
        letters -= weight(line)
        if letters < 0:
            return number
    return len(lines)


def weight(line: str) -> int:
    """Letters of a line."""
    return len(RULED.sub("", STYLES.sub("", line)))
