"""Colours for rendered answers: for dark terminals, for light ones, and such that both can show them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.syntax import ANSISyntaxTheme
    from rich.theme import Theme as Styles

ThemeName = Literal["auto", "light", "dark", "plain"]
Role = Literal["keyword", "name", "string", "number", "comment", "removed", "link"]

PALETTES: Mapping[ThemeName, Mapping[Role, int]] = MappingProxyType(
    {
        "auto": {"keyword": 98, "name": 30, "string": 28, "number": 130, "comment": 243, "removed": 162, "link": 31},
        "dark": {"keyword": 141, "name": 80, "string": 114, "number": 215, "comment": 246, "removed": 210, "link": 111},
        "light": {"keyword": 91, "name": 24, "string": 22, "number": 88, "comment": 241, "removed": 124, "link": 25},
        "plain": {},
    }
)
"""Numbers in the palette of 256 colours. Those of ``auto`` are halfway between black and white, as seen by the eye, so
they hold on either (``tests/terminal/test_theme.py`` has the contrasts). The first 16 are left alone: what they look
like is the terminal's affair."""


@dataclass(frozen=True)
class Theme:
    """Styles by the names of rich's Markdown, and those of code."""

    styles: Styles
    code: ANSISyntaxTheme


def theme(name: ThemeName, color_system: str | None) -> Theme:
    """A theme on a terminal with these colours (``truecolor``, ``256``); with fewer, or none, it has none."""
    from pygments.token import (  # type: ignore[import-untyped]
        Comment,
        Generic,
        Keyword,
        Name,
        Number,
        Operator,
        String,
        Token,
    )
    from rich.style import Style
    from rich.syntax import ANSISyntaxTheme
    from rich.theme import Theme as Styles

    if name == "auto":
        name = background() or name
    palette = PALETTES[name] if color_system in ("256", "truecolor") else PALETTES["plain"]

    def style(role: Role, *, bold: bool | None = None, italic: bool | None = None) -> Style:
        number = palette.get(role)
        return Style(color=None if number is None else f"color({number})", bold=bold, italic=italic)

    plain, bold = Style(), Style(bold=True)
    marked = None if palette else True  # bold says it where no colour does
    styles = {
        "code": style("name", bold=True),
        "code_block": plain,
        "link": style("link", bold=marked),
        "link_url": Style(underline=True),
        "block_quote": Style(italic=True),
        "item.bullet": bold,
        "item.number": bold,
        "list": plain,
        "hr": Style(dim=True),
        "table.border": Style(dim=True),
        "table.header": bold,
        **{f"h{level}": plain for level in range(1, 7)},
    }
    code = {
        Token: plain,
        Comment: style("comment", italic=True),
        Keyword: style("keyword", bold=marked),
        Operator.Word: style("keyword", bold=marked),
        Name.Function: style("name"),
        Name.Class: style("name", bold=True),
        Name.Decorator: style("name"),
        Name.Builtin: style("name"),
        Name.Tag: style("keyword", bold=marked),
        Name.Attribute: style("name"),
        String: style("string"),
        Number: style("number"),
        Generic.Deleted: style("removed"),
        Generic.Inserted: style("string"),
        Generic.Heading: bold,
        Generic.Subheading: bold,
        Generic.Emph: Style(italic=True),
        Generic.Strong: bold,
    }
    return Theme(Styles({f"markdown.{name}": value for name, value in styles.items()}), ANSISyntaxTheme(code))


def background() -> Literal["light", "dark"] | None:
    """The background colour in ``COLORFGBG`` (``15;0``), unless another terminal set it.

    The terminal is not queried: a late reply would be taken for typed text.
    """
    if {"TMUX", "STY"} & os.environ.keys():
        return None
    number = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    if not number.isdecimal():
        return None
    return "light" if int(number) in (7, *range(9, 16)) else "dark"
