"""A real terminal (tmux) and a real process: what a person does, and the screens they see."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
]

PATIENCE = 120.0
CHAT = "-m mistralrs_cli run"


class Terminal:
    """One tmux window."""

    opened = count()

    def __init__(self, folder: Path) -> None:
        self.window = next(self.opened)
        self.folder = folder

    @property
    def name(self) -> str:
        """A server of tmux for each window: one that ends takes its time."""
        return f"mistralrs-{os.getpid()}-{self.window}"

    def tmux(self, *words: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["tmux", "-L", self.name, "-f", "/dev/null", *words], input=text, capture_output=True, text=True, check=True
        )
        return done.stdout

    def start(self, words: str, columns: int, rows: int = 30, **environment: str) -> None:
        """Run Python in a new window of this size; the screen stays when it ends."""
        self.window = next(self.opened)
        root = Path(__file__).resolve().parents[2]
        settings = {"PYTHONPATH": str(root), "MISTRALRS_DATA_DIR": str(self.folder / "data"), **environment}
        exports = " ".join(f"{key}={shlex.quote(value)}" for key, value in settings.items())
        folder, python = shlex.quote(str(self.folder)), shlex.quote(sys.executable)
        command = f"cd {folder}; {exports} {python} {words}; echo ended with $?; sleep 600"
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), command)

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def say(self, line: str) -> None:
        """Type a line and send it."""
        self.tmux("send-keys", "-l", line)
        self.press("Enter")

    def paste(self, text: str) -> None:
        """Paste as a terminal does, in brackets."""
        self.tmux("load-buffer", "-", text=text)
        self.tmux("paste-buffer", "-p", "-d")

    @property
    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    @property
    def everything(self) -> str:
        """The screen, and what has scrolled away."""
        return self.tmux("capture-pane", "-p", "-S", "-500")

    def wait(self, text: str, *, count: int = 1) -> str:
        """The screen once it shows a text so many times."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            screen = self.everything
            if screen.count(text) >= count:
                return screen
            time.sleep(0.1)
        raise AssertionError(f"{text!r} did not appear:\n{self.everything}")

    def wait_for_toolbar(self, pattern: str = ".+ │ .+") -> None:
        """Wait for the last line of the screen: where it is drawn, the prompt takes keys.

        A moment earlier the line may be seen already, but Ctrl-C and Ctrl-D are still the terminal's own.
        """
        deadline = time.monotonic() + PATIENCE
        while not re.fullmatch(pattern, self.screen.rstrip().rpartition("\n")[2]):
            assert time.monotonic() < deadline, self.screen
            time.sleep(0.1)

    def end(self) -> None:
        """Leave the chat and close the window."""
        self.wait_for_toolbar()
        self.press("C-d")
        self.wait("ended with 0")
        self.tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path, samples: Path) -> Iterator[Terminal]:
    """A window in a folder with a picture under a name that people have."""
    (tmp_path / "My [best] photo (1).png").write_bytes((samples / "red_circle.png").read_bytes())
    terminal = Terminal(tmp_path)
    yield terminal
    subprocess.run(["tmux", "-L", terminal.name, "kill-server"], capture_output=True)


def test_a_chat_about_a_picture(terminal: Terminal) -> None:
    editor = terminal.folder / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/Which color/What shape/" "$1"\n')
    editor.chmod(0o700)
    clipboard = terminal.folder / "xclip"
    clipboard.write_text('#!/bin/sh\nfor last; do :; done\n[ "$last" = TARGETS ] && echo image/png || cat *.png\n')
    clipboard.chmod(0o700)
    path = f"{terminal.folder}:{os.environ['PATH']}"
    terminal.start(CHAT, 80, EDITOR=str(editor), PATH=path, DISPLAY=":0", WAYLAND_DISPLAY="")
    terminal.wait("/help lists the commands")
    terminal.paste(str(terminal.folder / "My [best] photo (1).png").replace(" ", "\\ ").replace("(", "\\("))
    terminal.say(" what is in this picture?")  # perhaps while the model is still being loaded
    screen = terminal.wait("first token")
    assert "[1] My [best] photo (1).png 480×360 PNG → 63 tokens" in screen
    assert "circle" in screen.split("63 tokens")[1]
    terminal.say("Which color is it?")
    assert "red" in terminal.wait("first token", count=2).rpartition("Which color")[2]
    terminal.say("/retry")
    terminal.wait("first token", count=3)
    terminal.say("/edit")
    assert "circle" in terminal.wait("first token", count=4).rpartition("/edit")[2]
    terminal.say("./gone.png?")
    terminal.wait("No such file: ./gone.png")
    terminal.wait_for_toolbar()
    terminal.press("C-c")
    terminal.say("/undo")
    terminal.wait("removed the last question")
    terminal.wait_for_toolbar()
    terminal.press("C-c")
    terminal.say("/save chat")
    terminal.wait("written to chat.json")
    terminal.wait_for_toolbar(r"demo │ context [\d,]+ of 8,192 tokens")
    terminal.press("C-v")
    terminal.wait("[1] clipboard.png 480×360 PNG → 63 tokens")
    terminal.wait("demo │ 1 attached: clipboard.png │ context ")
    terminal.end()
    terminal.start(f"{CHAT} --continue", 40)
    screen = terminal.wait("% of context")
    assert "1 turn of “My [best] photo (1).png what is in this" in " ".join(screen.split())
    assert all(len(line) <= 40 for line in screen.splitlines())
    terminal.end()


@pytest.mark.parametrize("columns", [80, 40])
def test_markdown_while_it_comes(columns: int, terminal: Terminal) -> None:
    terminal.start("-m tests.repl.driver run", columns, rows=16)
    terminal.wait("/help lists")
    terminal.say("tell me")
    screen = terminal.wait("first token")
    lines = [line.strip() for line in screen.splitlines()]
    assert [line for line in lines if line.startswith("│ thought for")] != []
    for line in ("Two houses", "• a garden", "1 one", "2 two", "> A quotation".replace("> ", "▌ "), "```python"):
        assert lines.count(line) == 1, (line, screen)
    assert "Two houses, they say" not in screen
    terminal.press("C-t")
    terminal.wait("Two houses, they say.")
    terminal.say("go on")
    terminal.wait("and on and")
    terminal.tmux("send-keys", "-l", "typed meanwhile")
    terminal.press("C-c")
    terminal.wait("stopped; the answer is kept")
    terminal.wait("> typed meanwhile")
    assert terminal.everything.count("typed meanwhile") == 1
    terminal.press("C-c")
    terminal.say("go on")
    terminal.wait("│ thought for", count=3)
    terminal.paste("pasted in\nthree\npieces")
    terminal.wait("> pasted in↵ three↵ pieces")
    terminal.press("C-c")
    terminal.wait_for_toolbar()
    screen = terminal.wait("pieces").rpartition("> pasted in")[2]
    assert [line.strip() for line in screen.splitlines()[1:3]] == ["three", "pieces"]
    terminal.press("C-c")
    terminal.end()


def test_keys_between_and_during_answers(terminal: Terminal) -> None:
    """In a shell: what is typed ahead is seen, nothing is garbled, and Ctrl-Z suspends with the line intact."""
    os.mkfifo(terminal.folder / "pipe.png")
    shell = 'import os; os.execvp("bash", ["bash", "--norc", "-i"])'
    terminal.start(f"-c {shlex.quote(shell)}", 80, PS1="shell$ ")
    terminal.wait("shell$")
    terminal.say(f"{shlex.quote(sys.executable)} -m tests.repl.driver run")
    terminal.wait("/help lists")
    terminal.wait_for_toolbar()
    terminal.tmux("send-keys", "-l", "/system\n/set thoughts hide\n/media\n")
    screen = terminal.wait("no media")
    assert [line for line in screen.splitlines() if line.startswith("> ")] == [
        "> /system", "> /set thoughts hide", "> /media"
    ]  # fmt: skip
    terminal.say("go on")
    terminal.wait("and on and on")
    terminal.say("typed ahead")
    terminal.tmux("send-keys", "-l", "half a line")
    terminal.press("C-l")
    terminal.wait("> typed ahead↵ half a line")
    terminal.press("C-c")
    terminal.wait("> half a line")
    terminal.wait_for_toolbar()
    assert "^[" not in terminal.everything
    terminal.press("C-z")
    terminal.wait("Stopped")
    terminal.say("echo still $((40 + 2))")
    terminal.wait("still 42")
    terminal.say("fg")
    terminal.wait("half a line", count=2)
    terminal.wait_for_toolbar()
    terminal.press("C-c")
    terminal.say("/image pipe.png")
    terminal.wait("Reading pipe.png… Ctrl-C stops")
    terminal.press("C-c")
    terminal.wait("stopped; edit the question")
    terminal.paste("\n".join(f"line {number}" for number in range(43)))
    terminal.wait("> /image pipe.png[43 lines pasted]")
    terminal.press("C-c", "C-d")
    terminal.wait("saved; ")
    terminal.say("exit")
    terminal.wait("ended with 0")


def test_colours_are_left_out_where_they_are_not_wanted(terminal: Terminal) -> None:
    terminal.start("-m tests.repl.driver run", 80, NO_COLOR="1")
    terminal.wait("/help lists")
    terminal.say("tell me")
    terminal.wait("first token")
    coloured = terminal.tmux("capture-pane", "-p", "-e", "-S", "-200")
    assert "\x1b[1m" in coloured  # bold is no colour
    assert [code for code in ("\x1b[31m", "\x1b[33m", "\x1b[35m", "\x1b[36m", "\x1b[94m") if code in coloured] == []
    terminal.end()
