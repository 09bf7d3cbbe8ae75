"""The last lines of a terminal, redrawn in place while they still change."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len

from .encoding import writable

STYLES = re.compile(r"\x1b\[[0-9;]*m")
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # what lies between appears at once, where a terminal knows this
ERASE = "\x1b[K"


class Region:
    """Lines at the foot of ``file``. Only what differs is written, in one piece, so nothing flickers.

    Lines hold styles but no other control sequences. The cursor rests on the line below them.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = writable(file)
        self.shown: list[str] = []

    def draw(self, lines: Sequence[str], width: int, height: int) -> None:
        """Show these lines instead; of more than ``room`` the last ones."""
        lines = list(lines)[-room(height) :]
        if lines != self.shown:
            self.replace(lines, width)
        self.shown = lines

    def keep(self, lines: Sequence[str], width: int) -> None:
        """Show these lines for good: they scroll away like any other text."""
        self.replace(lines, width)
        self.shown = []

    def replace(self, lines: Sequence[str], width: int) -> None:
        """Write what differs from what is shown.

        Each line is erased by itself: where the topmost is also that of the screen, erasing all below it would mean to
        tmux that the screen is cleared, and what stood there would be left in its history.
        """
        same = 0
        while same < min(len(lines), len(self.shown)) and lines[same] == self.shown[same]:
            same += 1
        up = rows(self.shown[same:], width)
        left = up - rows(lines[same:], width)
        text = f"\x1b[{up}A\r" if up else "\r"
        text += "".join(f"{ERASE}{line}\n" for line in lines[same:])
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
