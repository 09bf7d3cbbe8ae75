"""The picture of the chat: how a screen is drawn, and whether the one in the README is there."""

import re
from html import unescape

import pytest

from tests.drift.source import ROOT
from tools import screenshot

pytestmark = pytest.mark.slow


def words(svg: str) -> str:
    """What an SVG shows."""
    return unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).replace("\xa0", " ")


def test_a_screen_is_drawn_with_its_words_and_nothing_from_the_web() -> None:
    svg = screenshot.drawn("\x1b[1m> \x1b[0mWhat is in <a b.png>?\n\x1b[2mdim\x1b[0m\n\n")
    assert "> What is in <a b.png>?" in re.sub(" +", " ", words(svg))
    assert "font-weight: bold" in svg
    assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]


def test_the_readme_shows_the_chat() -> None:
    place = str(screenshot.PICTURE.relative_to(ROOT))
    assert re.search(rf"!\[[^\]]+\]\({re.escape(place)}\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    shown = words(screenshot.PICTURE.read_text(encoding="utf-8"))
    assert [line for line in (*screenshot.QUESTIONS, screenshot.BEGUN) if line not in shown] == []
