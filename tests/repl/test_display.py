"""What a chat shows beside its words: previews, colours, numbers, and what narrow and dumb terminals get."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.repl.attachments import Attachments
from tests.repl.conftest import CLEAR, LEAVE, Fake, Session

pytestmark = pytest.mark.slow

Type = Callable[..., Session]
PICTURE = "\x1b_Ga=T"


@pytest.fixture(autouse=True)
def kitty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that shows pictures and colours, 80 columns wide."""
    for name in ("TMUX", "STY", "NO_COLOR", "COLORFGBG", "XTERM_VERSION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-kitty", "COLORTERM": "truecolor", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)


def redraw(typed: Type, *lines: str) -> Session:
    return typed(*lines, LEAVE, words="", terminal=True)


def test_a_picture_is_shown_when_it_is_attached_or_else_when_it_is_sent(typed: Type, fake: Fake, files: Path) -> None:
    fake("red")
    session = redraw(typed, "/image photo.jpg", "what is it?", "/retry", "and red_circle.png?", "and clip.gif?")
    assert session.err.count(PICTURE) == 3
    attached, sent = (session.err.index(words) for words in ("[1] photo.jpg", "[1] red_circle.png"))
    assert attached < session.err.index(PICTURE) < sent < session.err.rindex(PICTURE)


@pytest.mark.parametrize(
    ("line", "words"), [("/set preview off", ""), ("/set preview on", "--plain"), ("/set preview on", "--quiet")]
)
def test_a_preview_can_be_left_out(line: str, words: str, typed: Type, fake: Fake, files: Path) -> None:
    fake("red")
    session = typed(line, "/image photo.jpg", "what is in red_circle.png?", LEAVE, words=words, terminal=True)
    assert PICTURE not in session.err


def test_another_way_to_preview(typed: Type, fake: Fake, files: Path) -> None:
    fake("red")
    assert "\x1bP0;1q" in redraw(typed, "/set preview sixel", "photo.jpg").err
    assert "▀" in redraw(typed, "/set preview blocks", "photo.jpg").err


def test_a_theme_is_chosen(typed: Type, fake: Fake) -> None:
    fake("`code` and words")
    session = redraw(typed, "one", "/set theme light", "two", "/set theme plain", "three", "/set theme blue", CLEAR)
    assert list(dict.fromkeys(re.findall(r"\x1b\[1;38;5;(\d+)mcode", session.raw))) == ["30", "24"]
    assert session.raw.count("\x1b[1mcode") >= 1
    assert "theme cannot be blue." in session.err
    assert "/set theme light" in session.err


def test_the_wait_for_the_first_token_begins_with_enter(
    typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("red")
    read = Attachments.read_line

    def slowly(*words: Any) -> Any:
        time.sleep(0.3)
        return read(*words)

    monkeypatch.setattr(Attachments, "read_line", slowly)
    session = typed("what is in photo.jpg?", "/retry", LEAVE)
    waited = [float(seconds) for seconds in re.findall(r"first token ([\d.]+) s ·", session.err)]
    assert waited[0] >= 0.4  # the engine's 0.1, and the reading
    assert waited[1] == 0.1  # nothing was read again


def test_a_dumb_terminal_is_told_as_much(typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "40")
    words = "seven words that do not fit on one line and go on to the next without being cut anywhere"
    fake(words)
    session = redraw(typed, "what is in photo.jpg?")
    assert "[1] photo.jpg as it is → 10 tokens\n" in session.err
    assert re.search(r"\nfirst token \d\.\d\d s · answer 19, 180/s\n", session.err)
    shown = session.out.split("\n")
    assert " ".join(shown).split() == words.split()
    assert max(map(len, shown)) < 40
    assert not set(re.findall(r"\S+", session.err)) & {"an", "anothe", "MOD"}  # nor are notes
    assert "\x1b" not in session.raw


@pytest.mark.parametrize("columns", [80, 40])
def test_nothing_that_a_chat_says_wraps_by_a_word(
    columns: int, typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    fake("red")
    lines = redraw(typed, "/set preview off", "what is in photo.jpg?", "/set").err.splitlines()
    assert max(map(len, lines)) <= columns
    assert [line for line in lines if len(line.split()) == 1 and line.strip()] == []
