"""How far a long run is: on a terminal, in a log, and beside rows that are printed."""

from __future__ import annotations

import pytest

from mistralrs_cli.terminal import row_progress
from mistralrs_cli.terminal.row_progress import RowProgress, clock, per_second, words
from tests.terminal.streams import Stream, console_on


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stderr = Stream(terminal=True)
    with RowProgress(console_on(Stream(terminal=True), stderr, monkeypatch), 200, 40) as progress:
        progress.update(50, 2, 2.5, 60.0)
        assert progress.progress is not None
        progress.progress.refresh()
    assert " 50/200" in stderr.getvalue()
    assert "2.5 rows/s, 1:00 left, 2 failed" in stderr.getvalue()
    assert stderr.getvalue().endswith("\x1b[2K")  # the bar is cleared


@pytest.mark.parametrize("terminal", [True, False])
def test_lines_now_and_then_elsewhere(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stderr = Stream(terminal=terminal)
    console = console_on(Stream(terminal=True), stderr, monkeypatch)
    monkeypatch.setattr(row_progress, "LOG_EVERY", 1e9)
    with RowProgress(console, 200, printed=True) as progress:
        progress.update(1, 0, 0.0, None)
        monkeypatch.setattr(row_progress, "LOG_EVERY", 0.0)
        progress.update(50, 0, 0.5, 3661.0)
    said = "" if terminal else "note: 50 of 200 rows, 30.0 rows/min, 1:01:01 left\n"
    assert stderr.getvalue() == said


def test_words() -> None:
    assert (words(0, 0.0, None), per_second(12.34), clock(59.6)) == ("", "12.3 rows/s", "1:00")
