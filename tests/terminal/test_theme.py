"""Colours that can be read."""

import io
import re

import pytest

from mistralrs_cli.terminal.graphics import LEVELS
from mistralrs_cli.terminal.markdown import MarkdownView
from mistralrs_cli.terminal.theme import PALETTES, ThemeName, background

from .test_markdown import ANSWER

DARK, LIGHT = ((0, 0, 0), (30, 30, 30), (40, 44, 52)), ((255, 255, 255), (253, 246, 227), (238, 238, 238))
ATTRIBUTES = {"0", "1", "2", "3", "4", "49"}  # none, bold, dim, italic, underlined, the terminal's own background
Color = tuple[int, ...]


@pytest.fixture(autouse=True)
def colored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours are wanted."""
    monkeypatch.delenv("NO_COLOR", raising=False)


def color(number: int) -> Color:
    """One of the 256 colours, without the first 16."""
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    return tuple(LEVELS[(number - 16) // step % 6] for step in (36, 6, 1))


def contrast(one: Color, other: Color) -> float:
    """The ratio of WCAG 2: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""

    def luminance(rgb: Color) -> float:
        parts = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("theme", "grounds", "least"),
    [("dark", DARK, 4.5), ("light", LIGHT, 4.5), ("auto", (DARK[0], LIGHT[0]), 4.0), ("auto", DARK + LIGHT, 2.7)],
)
def test_colours_stand_out(theme: ThemeName, grounds: tuple[Color, ...], least: float) -> None:
    worst = {
        role: min(contrast(color(number), ground) for ground in grounds) for role, number in PALETTES[theme].items()
    }
    assert min(worst.values()) >= least, worst


@pytest.mark.parametrize("theme", PALETTES)
def test_only_attributes_and_colours_of_the_theme(theme: ThemeName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    attributes, colors = styles_of(ANSWER, theme)
    assert attributes <= ATTRIBUTES
    assert colors <= set(PALETTES[theme].values())
    assert bool(colors) == (theme != "plain")


def test_few_colours_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLORTERM", raising=False)
    attributes, colors = styles_of(ANSWER, "auto")
    assert (attributes <= ATTRIBUTES, colors) == (True, set())


def styles_of(text: str, theme: ThemeName) -> tuple[set[str], set[int]]:
    """The attributes and the colours of letters with which a text is drawn."""
    file = io.StringIO()
    view = MarkdownView(file, colors=theme)
    view.push(text)
    view.close()
    codes = re.findall(r"\x1b\[([\d;]+)m", file.getvalue())
    colors = {int(number) for code in codes for number in re.findall(r"38;5;(\d+)", code)}
    return {part for code in codes for part in re.sub(r"38;5;\d+", "0", code).split(";")}, colors


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"COLORFGBG": "15;0"}, "dark"),
        ({"COLORFGBG": "0;default;15"}, "light"),
        ({"COLORFGBG": "0;7"}, "light"),
        ({"COLORFGBG": "15;default"}, None),
        ({"COLORFGBG": "0;15", "TMUX": "/tmp/x"}, None),
        ({}, None),
    ],
)
def test_a_terminal_may_say_what_its_background_is(
    environment: dict[str, str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COLORFGBG", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert background() == found
