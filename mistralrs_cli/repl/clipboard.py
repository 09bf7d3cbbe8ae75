"""The clipboard of the desktop: images or files that were copied are read from it, answers written to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from io import BytesIO
from urllib.parse import unquote, urlsplit

from ..errors import OptionError
from ..media.suffixes import suggested
from ..messages import Media, MediaBytes, MediaRef
from ..terminal.console import Console
from ..terminal.osc52 import to_clipboard

PATIENCE = 5.0
TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff")


def media() -> list[Media]:
    """What was copied. Raises ``OptionError`` where it is nothing that can be attached, or cannot be read."""
    found = from_desktop() if sys.platform in ("darwin", "win32") else from_tools()
    if not found:
        raise OptionError("The clipboard holds no image.", "Copy one first, or /image PATH.")
    return found


def from_tools() -> list[Media]:
    """By ``wl-paste`` on Wayland, by ``xclip`` on X11."""
    if os.environ.get("WAYLAND_DISPLAY") and shutil.which("wl-paste"):
        listing, reading = ["wl-paste", "--list-types"], ["wl-paste", "--no-newline", "--type"]
    elif os.environ.get("DISPLAY") and shutil.which("xclip"):
        reading = ["xclip", "-selection", "clipboard", "-o", "-t"]
        listing = [*reading, "TARGETS"]
    else:
        raise OptionError(
            "The clipboard cannot be read here.",
            "It needs a desktop, and wl-paste (package wl-clipboard) on Wayland or xclip on X11.",
        )
    offered = run(listing).decode(errors="replace").split()
    for mime in TYPES:
        if mime in offered:
            return [MediaBytes("image", f"clipboard.{mime.partition('/')[2]}", run([*reading, mime]))]
    if "text/uri-list" in offered:
        addresses = run([*reading, "text/uri-list"]).decode(errors="replace").split()
        paths = [unquote(urlsplit(address).path) for address in addresses if address.startswith("file:")]
        return [MediaRef(kind, path) for path in paths if (kind := suggested(path))]
    return []


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


def run(words: list[str]) -> bytes:
    """What a program prints."""
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OptionError(f"{words[0]} does not answer: {error}", "Use /image PATH.") from error


def from_desktop() -> list[Media]:
    """By Pillow, on macOS and Windows."""
    from PIL import Image, ImageGrab

    try:
        found = ImageGrab.grabclipboard()
    except (OSError, NotImplementedError) as error:
        raise OptionError(f"The clipboard cannot be read: {error}", "Use /image PATH.") from error
    if isinstance(found, Image.Image):
        buffer = BytesIO()
        found.save(buffer, "PNG")
        return [MediaBytes("image", "clipboard.png", buffer.getvalue())]
    return [MediaRef(kind, path) for path in found or [] if (kind := suggested(path))]
