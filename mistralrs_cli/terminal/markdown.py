"""Markdown as it comes: finished blocks are printed for good, the one being written is redrawn in place."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TextIO

from markdown_it.token import Token
from rich.console import Console

from .columns import spacious
from .elements import PARSER, WholeMarkdown, room_for
from .region import STYLES, Region, covered, room
from .theme import ThemeName, theme

INTERVAL = 0.06  # seconds between two drawings
SHARE = 8  # of the time, at most one part in so many is spent on drawing
MOVING = 4  # lines at the end that may change even on the smallest screen, as the fence that is not written yet
TRAILING = re.compile(r" +((?:\x1b\[0?m)?)$")


class Sheet(io.StringIO):
    """Text in memory for a stream of this encoding, which decides what lines are drawn with."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self.of = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's."""
        return self.of


class MarkdownView:
    """A growing Markdown text on a terminal."""

    def __init__(self, file: TextIO, *, color: bool = True, colors: ThemeName = "auto") -> None:
        self.region = Region(file)
        self.paper = Console(
            file=Sheet(file.encoding or "utf-8"),
            force_terminal=True,
            no_color=None if color else True,
            emoji=False,
            legacy_windows=False,
        )
        self.theme = theme(colors, self.paper.color_system)
        self.paper.push_theme(self.theme.styles)
        self.pending = ""  # what is not printed for good
        self.gone: list[str] = []  # lines of it that have scrolled away already
        self.widths: list[int] | None = None  # of the table that is taller than the screen
        self.first = True
        self.next = 0.0  # when to draw again

    def push(self, text: str) -> None:
        """More text. Draws unless it has just drawn."""
        self.pending += text
        begun = time.monotonic()
        if begun >= self.next:
            self.draw()
            now = time.monotonic()
            self.next = now + max(INTERVAL, SHARE * (now - begun))

    def draw(self) -> None:
        """Show what there is."""
        done = finished(self.pending)
        if done:
            self.print_block(self.pending[:done])
            self.pending = self.pending[done:]
        width, height = self.size
        lines = self.lines(self.pending)
        if self.widths is not None or (len(lines) > room(height) and is_table(self.pending)):
            self.print_rows(width)
            lines = self.lines(self.pending)
        passed = covered(lines, self.gone)
        # What scrolls out of sight has its final form; only a table's columns may still move.
        beyond = len(lines) - passed - max(MOVING, room(height))
        if beyond > 0 and not ends_in_table(self.pending):
            self.region.keep(lines[passed : passed + beyond])
            self.gone = lines[: passed + beyond]
            passed += beyond
        self.region.draw(lines[passed:])

    def print_rows(self, width: int) -> None:
        """Print the finished rows of a table that is taller than the screen for good; its columns move no more."""
        table = blocks(self.pending)[0]
        if self.widths is None:
            self.widths = spacious(self.found, room_for(len(self.found), width - 1))
        else:
            self.gone = self.lines(head_of(table))  # at the width that the terminal has now
        rows = min(self.pending.rfind("\n") + 1, self.pending.index(table) + len(table.rstrip("\n")) + 1)
        lines = self.lines(self.pending[:rows])
        self.region.keep(lines[covered(lines, self.gone) :])
        self.pending = head_of(table) + self.pending[rows:]
        self.gone = self.lines(head_of(table))

    def close(self) -> None:
        """Print the rest for good."""
        if self.pending:
            self.print_block(self.pending)
        self.pending, self.first = "", True

    def print_block(self, text: str) -> None:
        """Print blocks for good."""
        if self.widths is not None:
            self.gone = self.lines(head_of(blocks(text)[0]))
        lines = self.lines(text)
        self.region.keep(lines[covered(lines, self.gone) :])
        self.gone = self.gone[len(lines) :]  # what follows may have begun to scroll away with it
        self.widths, self.first = None, self.first and not text.strip()

    def lines(self, text: str) -> list[str]:
        """Text as lines of the terminal's width, with an empty one before all but the first block."""
        found: list[str] = []
        for number, part in enumerate(blocks(text)):
            # settled widths are those of the block that has begun to scroll away: the first one
            document = WholeMarkdown(part, self.theme.code, None if number else self.widths)
            with self.paper.capture() as captured:
                self.paper.print(document, width=max(10, self.size[0] - 1))
            self.found = document.found
            drawn = [TRAILING.sub(r"\1", line) for line in captured.get().split("\n")]
            drawn = stripped(drawn)
            if drawn:
                found += drawn if self.first and not found else ["", *drawn]
        return found

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal as it is now."""
        return self.region.size


def stripped(lines: Sequence[str]) -> list[str]:
    """Lines without the empty ones at both ends."""
    kept = [index for index, line in enumerate(lines) if STYLES.sub("", line).strip()]
    return list(lines[kept[0] : kept[-1] + 1]) if kept else []


def blocks(text: str) -> list[str]:
    """Text in parts that each hold one block."""
    lines = text.split("\n")
    starts = starts_of(text)
    return ["\n".join(lines[start:end]) for start, end in pairwise([*starts, len(lines)])]


def head_of(table: str) -> str:
    """The lines of a table above its rows."""
    return "".join(f"{line}\n" for line in table.split("\n")[:2])


def finished(text: str) -> int:
    """How much of a growing text is made of blocks that no further line can change."""
    lines = text[: text.rfind("\n") + 1]
    starts = starts_of(lines)
    if len(starts) < 2:
        return 0
    return sum(len(line) + 1 for line in lines.split("\n")[: starts[-1]])


def starts_of(text: str) -> list[int]:
    """The lines that begin a block, counted from 0."""
    return [token.map[0] for token in top_level(PARSER.parse(text)) if token.map]


def top_level(tokens: Iterable[Token]) -> list[Token]:
    """The tokens that begin a block of their own."""
    return [token for token in tokens if token.level == 0 and token.nesting >= 0]


def is_table(text: str) -> bool:
    """Whether it is a table, and nothing else."""
    return [token.type for token in top_level(PARSER.parse(text))] == ["table_open"]


def ends_in_table(text: str) -> bool:
    """Whether the last block is a table."""
    tokens = top_level(PARSER.parse(text))
    return bool(tokens) and tokens[-1].type == "table_open"
