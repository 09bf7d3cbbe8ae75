"""Lines broken between words, while their text comes in pieces."""

from __future__ import annotations

import re

from rich.cells import cell_len

PIECE = re.compile(r"\n|[^\S\n]+|\S+")
TAB = 8


class WordWrap:
    """Holds a word back until it is whole, and puts it on a new line where the terminal would cut it."""

    def __init__(self) -> None:
        self.column = 0
        self.space = ""
        self.word = ""

    def push(self, text: str, width: int) -> str:
        """What can be written now, on a terminal of ``width`` columns."""
        return "".join(self.taken(piece, width) for piece in PIECE.findall(text))

    def flush(self, width: int) -> str:
        """What was held back."""
        written, space, self.space = self.placed(width), self.space, ""
        return written + space

    def taken(self, piece: str, width: int) -> str:
        """The text that one more piece releases."""
        if piece == "\n":
            written = self.flush(width)
            self.column = 0
            return written + "\n"
        if piece.isspace():
            written = self.placed(width)
            self.space += piece
            return written
        self.word += piece
        return self.placed(width) if cell_len(self.word) >= width else ""  # Chinese has no spaces

    def placed(self, width: int) -> str:
        """The word, after the space before it or a line end in its place."""
        if not self.word:
            return ""
        space, word = self.space, self.word
        self.space = self.word = ""
        wide = cell_len(space.expandtabs(TAB)) + cell_len(word)
        if self.column and space and self.column + wide > width:
            space, self.column, wide = "\n", 0, cell_len(word)
        self.column += wide
        if self.column > width:
            self.column %= width
        return space + word
