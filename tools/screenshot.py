"""Takes the picture of the chat in the README: ``python -m tools.screenshot`` writes docs/images/chat.svg.

The real chat runs in a real terminal (tmux) with the bundled demo model, in ``examples/media``; its screen becomes an
SVG as it stands. ``QUESTIONS`` are typed one after the other. Look at the picture before you commit it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "chat.svg"
TITLE = "mistralrs run"
COLUMNS, ROWS = 110, 20
PATIENCE = 300.0
QUESTIONS = ("What is in red_circle.png?", "Which color is it?", "How many beeps do you hear in beeps.wav?")
ANSWERED = "first token"
"""What stands in the line of numbers below each answer."""

ATTACHED, BEGUN = "shapes.png", "and what is on the left?"
"""A picture that waits for the next question, and what of that has been typed."""

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: @FONT; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""".replace("@FONT", FONT)
"""Rich's own form without the fonts that it fetches from the web."""


class Window:
    """A window of tmux in which the chat runs."""

    def __init__(self, data: Path) -> None:
        self.server = f"mistralrs-screenshot-{os.getpid()}"
        settings = {"PYTHONPATH": str(ROOT), "MISTRALRS_DATA_DIR": str(data), "TERM": "xterm-256color"}
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
        chat = f"{shlex.quote(sys.executable)} -m mistralrs_cli run -m demo --cpu"
        folder = shlex.quote(str(ROOT / "examples" / "media"))
        self.tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), f"cd {folder}; {exports} {chat}")

    def tmux(self, *words: str) -> str:
        """Tell tmux something; what it prints."""
        command = ["tmux", "-L", self.server, "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, text: str) -> None:
        """Type a text."""
        self.tmux("send-keys", "-l", text)

    def say(self, line: str) -> None:
        """Type a line and send it."""
        self.type(line)
        self.tmux("send-keys", "Enter")

    def wait(self, text: str, count: int = 1, *, ready: bool = True) -> None:
        """Wait until the screen shows a text so many times, and an empty prompt where one is to be ``ready``."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.tmux("capture-pane", "-p")
            if screen.count(text) >= count and (prompted(screen) or not ready):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} did not appear:\n{screen}")
            time.sleep(0.2)

    def close(self) -> None:
        """End the chat and tmux."""
        self.tmux("kill-server")


def prompted(screen: str) -> bool:
    """Whether the chat waits for a line."""
    return any(line.rstrip() == ">" for line in screen.splitlines())


def screen() -> str:
    """The screen after all questions, with its colours."""
    with tempfile.TemporaryDirectory() as data:
        window = Window(Path(data))
        try:
            window.wait("/help lists the commands")
            for number, question in enumerate(QUESTIONS, start=1):
                window.say(question)
                window.wait(ANSWERED, number)
            window.say(f"/image {ATTACHED}")
            window.wait(f"attached: {ATTACHED}")
            window.type(BEGUN)
            window.wait(BEGUN, ready=False)
            return window.tmux("capture-pane", "-p", "-e")
        finally:
            window.close()


def drawn(screen: str) -> str:
    """A screen as an SVG, without its empty lines at the end."""
    from rich.console import Console
    from rich.text import Text

    text = Text.from_ansi(screen.rstrip("\n"))
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(text, crop=True, no_wrap=True)
    console.print()  # the drawing cuts the last line off at its foot
    return console.export_svg(title=TITLE, code_format=FORMAT, unique_id="chat")


def main() -> None:
    """Write the picture."""
    shown = screen()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn(shown), encoding="utf-8")


if __name__ == "__main__":
    main()
