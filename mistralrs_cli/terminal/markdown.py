"""Markdown as it comes: finished blocks are printed for good, the one being written is redrawn in place."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, TableElement
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .region import Region

if TYPE_CHECKING:
    from rich.console import JustifyMethod

INTERVAL = 0.06  # seconds between two drawings
TRAILING = re.compile(r" +((?:\x1b\[0?m)?)$")
PARSER = MarkdownIt().enable("strikethrough").enable("table").disable(["html_block", "html_inline"])


class LeftHeading(Heading):
    """A heading without a box around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The heading, on the left."""
        self.text.justify = "left"
        self.text.stylize("bold underline" if self.tag in ("h1", "h2") else "bold")
        yield self.text


class WholeCode(CodeBlock):
    """Code between its fences, wrapped where it is too wide and easy to copy."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The code in the terminal's own colours."""
        yield Text(f"```{self.lexer_name if self.lexer_name != 'text' else ''}", "dim")
        code = str(self.text).rstrip("\n")
        yield Syntax(code, self.lexer_name, theme="ansi_dark", word_wrap=True, background_color="default")
        yield Text("```", "dim")


class WholeTable(TableElement):
    """A table whose long words are folded, never cut."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table."""
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class WholeMarkdown(Markdown):
    """Markdown of which every word is shown: HTML as it is, lines broken where the text breaks them."""

    elements = Markdown.elements | {
        "heading_open": LeftHeading,
        "fence": WholeCode,
        "code_block": WholeCode,
        "table_open": WholeTable,
    }

    def __init__(self, text: str, justify: JustifyMethod | None = None) -> None:
        super().__init__("", justify=justify, hyperlinks=False)
        self.markup = text
        self.parsed = with_line_breaks(PARSER.parse(text))


def with_line_breaks(tokens: list[Token]) -> list[Token]:
    """Tokens in which a line end is a line end, as models mean it."""
    for token in tokens:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
    return tokens


class MarkdownView:
    """A growing Markdown text on a terminal."""

    def __init__(self, file: TextIO, *, color: bool = True) -> None:
        self.region = Region(file)
        self.paper = Console(
            file=io.StringIO(), force_terminal=True, no_color=None if color else True, emoji=False, legacy_windows=False
        )
        self.pending = ""  # what is not printed for good
        self.gone = 0  # lines of it that have scrolled away already
        self.first = True
        self.drawn = 0.0

    def push(self, text: str) -> None:
        """More text. Draws unless it has just drawn."""
        self.pending += text
        if time.monotonic() - self.drawn >= INTERVAL:
            self.draw()

    def draw(self) -> None:
        """Show what there is."""
        done = finished(self.pending)
        if done:
            self.print_block(self.pending[:done])
            self.pending = self.pending[done:]
        width, height = self.size
        lines = self.lines(self.pending)
        # A table's columns may still move. What scrolls out of sight of anything else has its final form.
        beyond = len(lines) - self.gone - (height - 1)
        if beyond > 0 and not is_table(self.pending):
            self.region.keep(lines[self.gone : self.gone + beyond], width)
            self.gone += beyond
        self.region.draw(lines[self.gone :], width, height)
        self.drawn = time.monotonic()

    def close(self) -> None:
        """Print the rest for good."""
        if self.pending:
            self.print_block(self.pending)
        self.pending, self.first = "", True

    def print_block(self, text: str) -> None:
        """Print blocks for good."""
        self.region.keep(self.lines(text)[self.gone :], self.size[0])
        self.gone, self.first = 0, self.first and not text.strip()

    def lines(self, text: str) -> list[str]:
        """Text as lines of the terminal's width, with an empty one before all but the first block."""
        if not text.strip():
            return []
        with self.paper.capture() as captured:
            self.paper.print(WholeMarkdown(text), width=max(10, self.size[0] - 1))
        lines = [TRAILING.sub(r"\1", line) for line in captured.get().rstrip("\n").split("\n")]
        while lines and not lines[0].strip():
            del lines[0]
        return lines if self.first else ["", *lines]

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal as it is now, whatever the environment says it once was."""
        try:
            return os.get_terminal_size(self.region.file.fileno())
        except (OSError, ValueError):
            return self.paper.size


def finished(text: str) -> int:
    """How much of a growing text is made of blocks that no further line can change."""
    lines = text[: text.rfind("\n") + 1]
    starts = [token.map[0] for token in top_level(PARSER.parse(lines)) if token.map]
    if len(starts) < 2:
        return 0
    return sum(len(line) for line in lines.splitlines(keepends=True)[: starts[-1]])


def top_level(tokens: Iterable[Token]) -> list[Token]:
    """The tokens that begin a block of their own."""
    return [token for token in tokens if token.level == 0 and token.nesting >= 0]


def is_table(text: str) -> bool:
    """Whether the last block is a table."""
    return any(token.type == "table_open" for token in top_level(PARSER.parse(text)))
