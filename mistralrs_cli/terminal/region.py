"""The last lines of a terminal, redrawn in place while they still change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len

STYLES = re.compile(r"\x1b\[[0-9;]*m")
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # what lies between appears at once, where a terminal knows this


class Region:
    """Lines at the foot of ``file``. Only what differs is written, in one piece, so nothing flickers.

    Lines hold styles but no other control sequences. The cursor rests on the line below them.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.shown: list[str] = []

    def draw(self, lines: Sequence[str], width: int, height: int) -> None:
        """Show these lines instead; of more than the screen holds, the last ones."""
        lines = list(lines)[-max(1, height - 1) :]
        if lines != self.shown:
            self.replace(lines, width)
        self.shown = lines

    def keep(self, lines: Sequence[str], width: int) -> None:
        """Show these lines for good: they scroll away like any other text."""
        self.replace(lines, width)
        self.shown = []

    def replace(self, lines: Sequence[str], width: int) -> None:
        """Write what differs from what is shown."""
        same = 0
        while same < min(len(lines), len(self.shown)) and lines[same] == self.shown[same]:
            same += 1
        # a terminal that has become narrower has wrapped what was there
        up = sum(max(1, -(-cell_len(STYLES.sub("", line)) // width)) for line in self.shown[same:])
        back = (f"\x1b[{up}A" if up else "") + "\r\x1b[J"
        self.file.write(BEGIN + back + "".join(f"{line}\n" for line in lines[same:]) + END)
        self.file.flush()
