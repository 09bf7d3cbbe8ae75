"""One line at the very foot of a terminal, below all that scrolls; for what is typed while something else is written.

The rest of the screen scrolls above it (DECSTBM), and every change is one write that puts the cursor back (DECSC and
DECRC), so that whatever else writes to the terminal needs to know nothing of it.
"""

from __future__ import annotations

import os

SMALLEST = 4
"""Rows of a screen that has room for it."""


class Footer:
    """The last line of the terminal behind a descriptor, which takes text in ``encoding``."""

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self.descriptor = descriptor
        self.encoding = encoding
        self.rows = 0  # of the screen when the line was set apart; 0 where it is not

    @property
    def columns(self) -> int:
        """Columns that it has now."""
        return self._size()[0]

    def show(self, text: str) -> None:
        """Show a text without control characters, of fewer columns than there are. None takes no line."""
        _, rows = self._size()
        if rows < SMALLEST or (not text and not self.rows):
            return
        begin = ""
        if rows != self.rows:
            # one line further and back: then there is one below the cursor
            begin = f"\x1bD\x1b[A\x1b7\x1b[1;{rows - 1}r\x1b8"
            self.rows = rows
        self._write(f"{begin}\x1b7\x1b[{rows};1H\x1b[0m\x1b[2K\x1b[2m{text}\x1b[0m\x1b8")

    def clear(self) -> None:
        """Take it away: the whole screen scrolls again."""
        if self.rows:
            self._write(f"\x1b7\x1b[r\x1b[{self._size()[1]};1H\x1b[2K\x1b8")
        self.rows = 0

    def _size(self) -> tuple[int, int]:
        try:
            return os.get_terminal_size(self.descriptor)
        except OSError:
            return 0, 0

    def _write(self, text: str) -> None:
        data = text.encode(self.encoding, "replace")
        while data:
            try:
                data = data[os.write(self.descriptor, data) :]
            except OSError:
                return  # a terminal that has gone
