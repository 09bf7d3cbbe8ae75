"""A terminal in memory: what a person would see, and what has scrolled away."""

import io
import re

from rich.cells import cell_len

TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])")


class Screen(io.StringIO):
    """Knows line ends, cursor up and down, erasing a line, and wrapping; other ways to move the cursor are an error."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.columns, self.rows = columns, rows
        self.above: list[str] = []
        self.lines = [""]
        self.row = 0
        self.column = 0
        self.erased = 0

    def write(self, text: str) -> int:
        for private, number, letter, back, end, sign in TOKEN.findall(text):
            if back:
                self.column = 0
            elif end:
                self.down()
            elif sign:
                self.put(sign)
            elif private or letter == "m":
                continue
            elif letter == "A":
                assert int(number or 1) <= self.row, "beyond the top of the screen"
                self.row -= int(number or 1)
            elif letter == "B":
                self.row = min(self.row + int(number or 1), self.rows - 1)
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif letter == "K":
                self.erased += 1
                self.lines[self.row] = self.lines[self.row][: self.column]
            else:
                raise AssertionError(f"unknown sequence {letter}")
        return len(text)

    def put(self, sign: str) -> None:
        if cell_len(self.lines[self.row][: self.column]) + cell_len(sign) > self.columns:
            self.down()
        line = self.lines[self.row]
        self.lines[self.row] = line[: self.column] + sign + line[self.column + 1 :]
        self.column += 1

    def down(self) -> None:
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.lines):
            self.lines.append("")
        if self.row == self.rows:
            self.above.append(self.lines.pop(0))
            self.row -= 1

    def shrink(self, rows: int) -> None:
        """Become smaller: lines at the top scroll away, as terminals do it."""
        self.rows = rows
        while len(self.lines) > rows:
            self.above.append(self.lines.pop(0))
            self.row -= 1

    @property
    def text(self) -> list[str]:
        """Every line ever shown that was not taken back, without spaces at its end, down to the cursor's."""
        assert not any(self.lines[self.row + 1 :]), "something stands below the cursor"
        return [line.rstrip() for line in (*self.above, *self.lines[: self.row + 1])]
