"""The clipboard of the terminal itself: the sequence OSC 52 of xterm, which reaches a desktop through ssh as well."""

from __future__ import annotations

import base64
import os
from contextlib import suppress

from .console import Console

LARGEST = 100_000
"""Characters of base64 that terminals commonly take."""


def to_clipboard(text: str, console: Console) -> bool:
    """Send a text to the terminal's clipboard; whether that could be sent. Terminals do not confirm it."""
    data = base64.b64encode(text.encode("utf-8", "replace")).decode()
    stream = console.stdout if console.stdout is not None and console.stdout.isatty() else console.stderr.file
    if len(data) > LARGEST or not stream.isatty() or console.stderr.is_dumb_terminal:
        return False
    with suppress(OSError):
        stream.write(through(f"\x1b]52;c;{data}\x07"))
        stream.flush()
        return True
    return False


def through(sequence: str) -> str:
    """A sequence for the terminal around tmux or screen, where there is one."""
    if os.environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if os.environ.get("STY"):  # screen takes 768 bytes at a time
        return "".join(f"\x1bP{sequence[at : at + 760]}\x1b\\" for at in range(0, len(sequence), 760))
    return sequence
