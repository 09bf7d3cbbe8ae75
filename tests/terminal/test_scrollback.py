"""A real terminal (tmux): what has scrolled away holds every line once."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repl.test_terminal import Terminal

from .feeder import BLOCKS, COUNT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.tmux("kill-server")


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10)])
def test_nothing_is_left_behind(columns: int, rows: int, terminal: Terminal) -> None:
    terminal.window = columns  # another server than that of the test before, which may not have ended yet
    terminal.start("-m tests.terminal.feeder", columns, rows)
    terminal.wait("after paragraph")
    everything = terminal.tmux("capture-pane", "-p", "-S", "-")
    for name in BLOCKS:
        shown = everything[everything.index(f"Title of {name}") : everything.index(f"after {name}")]
        assert [int(n) for n in re.findall(r"row-(\d+)", shown)] == list(range(COUNT))
        lines = [line for line in shown.splitlines() if line.strip()]
        assert [line for line in lines if line.startswith(("Title", "The end"))] == [lines[0], lines[-1]]
        # a title, an end, and what stands around rows: a head and a line, or two fences
        assert len(lines) <= COUNT + 4 or name == "paragraph"
