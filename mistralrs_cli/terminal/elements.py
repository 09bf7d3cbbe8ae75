"""What Markdown looks like on a terminal: every word is shown, and nothing stands in a box."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import (
    CodeBlock,
    Heading,
    ListElement,
    Markdown,
    MarkdownElement,
    TableElement,
    TextElement,
)
from rich.rule import Rule
from rich.syntax import Syntax, SyntaxTheme
from rich.table import Table
from rich.text import Text

from .columns import fitted
from .latex import with_latex

PARSER = with_latex(
    MarkdownIt()
    .enable("strikethrough")
    .enable("table")
    .disable(["html_block", "html_inline", "reference", "image"])  # words of an answer like any others
)

NARROWEST = 3  # letters of a column that can be read


class LeftHeading(Heading):
    """A heading without a box around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The heading, on the left."""
        self.text.justify = "left"
        self.text.stylize("bold underline" if self.tag in ("h1", "h2") else "bold")
        yield self.text


class WholeCode(CodeBlock):
    """Code between its fences, wrapped where it is too wide and easy to copy."""

    code_theme: SyntaxTheme

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> WholeCode:
        """The code with its language."""
        code = cls(token.info.partition(" ")[0] or "text", "")
        assert isinstance(markdown, WholeMarkdown)
        code.code_theme = markdown.syntax
        return code

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The code on the terminal's own background."""
        yield Text(f"```{self.lexer_name if self.lexer_name != 'text' else ''}", "dim")
        code = str(self.text).rstrip("\n")
        yield Syntax(code, self.lexer_name, theme=self.code_theme, word_wrap=True, background_color="default")
        yield Text("```", "dim")


class Latex(TextElement):
    """A formula, as it is."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its text."""
        yield self.text


class DrawnRule(MarkdownElement):
    """A line across the terminal."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The line."""
        yield Rule(style=console.get_style("markdown.hr", default="none"), characters="─")


class EvenList(ListElement):
    """A list whose items stay where they are, however many follow: each has the room of its own number."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The items."""
        if self.list_type == "bullet_list_open":
            yield from super().__rich_console__(console, options)
            return
        for number, item in enumerate(self.items, start=1 if self.list_start is None else self.list_start):
            yield from item.render_number(console, options, number, number)


class WholeTable(TableElement):
    """A table whose long words are folded, never cut, with the widths the document was given for it, if any.

    Where there are too many columns for the terminal, each row is written as a list of its cells.
    """

    document: WholeMarkdown

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> WholeTable:
        """The table of a document."""
        table = cls()
        assert isinstance(markdown, WholeMarkdown)
        table.document = markdown
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table."""
        for table in super().__rich_console__(console, options):
            assert isinstance(table, Table)
            room = room_for(len(table.columns), options.max_width)
            self.document.found = [natural_width([column.header, *column.cells]) for column in table.columns]
            if room < NARROWEST * len(table.columns):
                yield from self.records(table)
                continue
            widths = fitted(self.document.widths or self.document.found, room)
            table.show_edge = False
            for column, width in zip(table.columns, widths, strict=True):
                column.overflow, column.width = "fold", width
            yield table

    def records(self, table: Table) -> RenderResult:
        """Each row as lines that name the column."""
        for row in zip(*(column.cells for column in table.columns), strict=True):
            yield Rule(style="markdown.hr", characters="─")
            for column, value in zip(table.columns, row, strict=True):
                assert isinstance(column.header, Text)
                assert isinstance(value, Text)
                yield Text.assemble(column.header, ": ", value)


def room_for(columns: int, width: int) -> int:
    """Columns of a terminal that the cells of a row have, two spaces between them."""
    return width - 2 * (columns - 1)


def natural_width(cells: Iterable[object]) -> int:
    """Columns of the longest line of any of these cells."""
    texts = [cell.plain.expandtabs() for cell in cells if isinstance(cell, Text)]
    return max([cell_len(line) for text in texts for line in text.split("\n")], default=1) or 1


class WholeMarkdown(Markdown):
    """Markdown of which every word is shown: HTML and LaTeX as they are, lines broken where the text breaks them.

    ``widths`` are those of a table's columns, if they are settled; once drawn, ``found`` are those that it has.
    """

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "heading_open": LeftHeading,
        "fence": WholeCode,
        "code_block": WholeCode,
        "table_open": WholeTable,
        "ordered_list_open": EvenList,
        "hr": DrawnRule,
        "latex_block": Latex,
    }

    def __init__(self, text: str, syntax: SyntaxTheme, widths: list[int] | None = None) -> None:
        super().__init__("", hyperlinks=False)
        self.markup = text
        self.parsed = with_line_breaks(PARSER.parse(text))
        self.syntax = syntax
        self.widths = widths
        self.found: list[int] = []


def with_line_breaks(tokens: list[Token]) -> list[Token]:
    """Tokens in which a line end is a line end, as models mean it."""
    for token in tokens:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
    return tokens
