"""The clipboard of the desktop, to which answers are copied."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from ..errors import OptionError
from ..terminal.console import Console
from ..terminal.osc52 import to_clipboard

PATIENCE = 5.0


def copy(text: str, console: Console) -> str:
    """Put a text on the clipboard by every way there is, and return a note on the result.

    The desktop's own tool, tmux's buffer, and the terminal itself (OSC 52), which also reaches through ssh. Raises
    ``OptionError`` where there is no way.
    """
    what = f"{len(text):,} characters"
    done = [words[0] for words in writers() if write(words, text)]
    sent = to_clipboard(text, console)
    if any(tool != "tmux" for tool in done):
        return f"{what} are on the clipboard"
    if done:
        return f"{what} are in tmux's buffer, and on the clipboard where the terminal around it has one"
    if not sent:
        raise OptionError("The answer cannot be copied here.", "/export FILE writes the chat.")
    return f"{what} were sent to the terminal's clipboard, where it has one (OSC 52)"


def writers() -> list[list[str]]:
    """The programs that take a text for the clipboard, of those there are."""
    found: list[list[str]] = []
    if sys.platform == "darwin":
        found.append(["pbcopy"])
    elif sys.platform == "win32":
        found.append(["clip"])
    elif os.environ.get("WAYLAND_DISPLAY") and shutil.which("wl-copy"):
        found.append(["wl-copy"])
    elif os.environ.get("DISPLAY") and shutil.which("xclip"):
        found.append(["xclip", "-selection", "clipboard", "-i"])
    if os.environ.get("TMUX") and shutil.which("tmux"):
        found.append(["tmux", "load-buffer", "-w", "-"])  # -w: and to the clipboard of the terminal around it
    return found


def write(words: list[str], text: str) -> bool:
    """Let a program take a text; whether it did."""
    try:
        done = subprocess.run(
            words,
            input=text.encode("utf-8", "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
