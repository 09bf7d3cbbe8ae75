"""Streams that lack letters get plain ones, and no escapes of Python."""

import io

import pytest

from mistralrs_cli.terminal.encoding import encodable, writable
from mistralrs_cli.terminal.markdown import MarkdownView
from mistralrs_cli.terminal.region import STYLES

from .streams import Stream, console_on

SAID = "[1] Größe.jpg 320×240 PNG → 63 tokens · “so”…\n"


def ascii_stream() -> tuple[io.BytesIO, io.TextIOWrapper]:
    """As Python opens stderr under PYTHONIOENCODING=ascii."""
    data = io.BytesIO()
    return data, io.TextIOWrapper(data, encoding="ascii", errors="backslashreplace")


def test_signs_become_plain_ones() -> None:
    data, stream = ascii_stream()
    file = writable(stream)
    file.write(SAID)
    file.flush()
    assert data.getvalue() == b'[1] Gr??e.jpg 320x240 PNG -> 63 tokens . "so"...\n'
    assert encodable(SAID, Stream(encoding="latin-1")) == '[1] Größe.jpg 320×240 PNG -> 63 tokens · "so"...\n'
    assert encodable(SAID, Stream(encoding="utf-8")) == SAID


def test_everything_on_stderr_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    data, stream = ascii_stream()
    console = console_on(Stream(), stream, monkeypatch)  # type: ignore[arg-type]
    console.note("320×240")
    console.stats("a · b")
    console.show("→")
    console.error("“x”", "…")
    console.log("→")
    assert data.getvalue().decode().split("\n") == ["note: 320x240", "a . b", "->", 'error: "x"', "hint: ...", "->", ""]


def test_answers_are_drawn_with_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    data, stream = ascii_stream()
    view = MarkdownView(stream, colors="plain")
    view.push("- “a”\n\n| a | b |\n|---|---|\n| 1 | × |\n\n---\n\n> q\n")
    view.close()
    shown = STYLES.sub("", data.getvalue().decode()).replace("\x1b[?2026", "")
    assert "\\" not in shown
    assert "?" not in shown
    assert all(part in shown for part in ('* "a"', "x", "-" * 39, "| "))
