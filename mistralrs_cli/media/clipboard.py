"""What is on the clipboard of the desktop, and what its screen shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import OptionError
from ..messages import MediaBytes, MediaRef, TextFile
from .suffixes import suggested

PATIENCE = 5.0
"""Seconds that a program of the desktop gets."""

TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff")
TEXTS = ("text/plain;charset=utf-8", "UTF8_STRING", "text/plain", "STRING")
NAME = "clipboard"

SCREEN_POWERSHELL = (
    "Add-Type -AssemblyName System.Windows.Forms,System.Drawing; "
    "$b=[System.Windows.Forms.SystemInformation]::VirtualScreen; "
    "$i=New-Object System.Drawing.Bitmap $b.Width,$b.Height; "
    "[System.Drawing.Graphics]::FromImage($i).CopyFromScreen($b.Left,$b.Top,0,0,$i.Size); "
    "$i.Save($args[0])"
)


def media() -> list[MediaRef | MediaBytes]:
    """The image that was copied, or the media among copied files.

    Raises ``OptionError`` where there is nothing that can be attached, or it cannot be read.
    """
    found = from_desktop() if sys.platform in ("darwin", "win32") else from_tools(offered())
    if not found:
        raise OptionError("The clipboard holds no image.", "Copy one first, or --image PATH.")
    return found


def media_or_text() -> list[MediaRef | MediaBytes | TextFile]:
    """The image or files that were copied, else the text. Raises ``OptionError`` where there is none of them."""
    if sys.platform in ("darwin", "win32"):
        found: list[MediaRef | MediaBytes] = from_desktop()
        if found:
            return [*found]
        reading = ["pbpaste"] if sys.platform == "darwin" else ["powershell", "-NoProfile", "-c", "Get-Clipboard -Raw"]
        text = run(reading).decode("utf-8", "replace")
    else:
        kinds = offered()
        if found := from_tools(kinds):
            return [*found]
        kind = next((each for each in TEXTS if each in kinds), None)
        text = "" if kind is None else run([*reader(), kind]).decode("utf-8", "replace")
    if not text.strip():
        raise OptionError("The clipboard holds neither an image nor text.", "Copy one first.")
    return [TextFile.fenced(NAME, text)]


def reader() -> list[str]:
    """The program that reads the clipboard, to which the type of what is wanted is added.

    ``wl-paste`` on Wayland, ``xclip`` on X11. Raises ``OptionError`` where there is none.
    """
    if os.environ.get("WAYLAND_DISPLAY") and shutil.which("wl-paste"):
        return ["wl-paste", "--no-newline", "--type"]
    if os.environ.get("DISPLAY") and shutil.which("xclip"):
        return ["xclip", "-selection", "clipboard", "-o", "-t"]
    raise OptionError(
        "The clipboard cannot be read here.",
        "It needs a desktop, and wl-paste (package wl-clipboard) on Wayland or xclip on X11.",
    )


def offered() -> list[str]:
    """The types of what is on the clipboard."""
    words = reader()
    listing = ["wl-paste", "--list-types"] if words[0] == "wl-paste" else [*words, "TARGETS"]
    return run(listing, fails=True).decode(errors="replace").split()  # it fails where nothing was copied


def from_tools(kinds: list[str]) -> list[MediaRef | MediaBytes]:
    """An image, or files, of what is ``offered`` on Wayland and X11."""
    for mime in TYPES:
        if mime in kinds:
            return [MediaBytes("image", f"{NAME}.{mime.partition('/')[2]}", run([*reader(), mime]))]
    if "text/uri-list" in kinds:
        lines = run([*reader(), "text/uri-list"]).decode(errors="replace").splitlines()
        return copied_files([address.strip() for address in lines if address.strip() and not address.startswith("#")])
    return []


def copied_files(addresses: list[str]) -> list[MediaRef | MediaBytes]:
    """Files that were copied, by path or ``file:`` URL. Raises ``OptionError`` where one of them is no medium."""
    found: list[MediaRef | MediaBytes] = []
    for address in addresses:
        path = unquote(urlsplit(address).path) if address.startswith("file:") else address
        kind = None if "://" in path else suggested(path)
        if kind is None:
            raise OptionError(
                f"{path} on the clipboard is no image, audio, video or PDF file.", "Use --file PATH for text."
            )
        found.append(MediaRef(kind, path))
    return found


def from_desktop() -> list[MediaRef | MediaBytes]:
    """By Pillow, on macOS and Windows."""
    from PIL import Image, ImageGrab

    try:
        found = ImageGrab.grabclipboard()
    except (OSError, NotImplementedError) as error:
        raise OptionError(f"The clipboard cannot be read: {error}", "Use --image PATH.") from error
    if isinstance(found, Image.Image):
        buffer = BytesIO()
        found.save(buffer, "PNG")
        return [MediaBytes("image", f"{NAME}.png", buffer.getvalue())]
    return copied_files(found or [])


def screenshot() -> MediaBytes:
    """The whole screen as PNG. Raises ``OptionError`` where it cannot be taken."""
    with tempfile.TemporaryDirectory(prefix="mistralrs-") as folder:
        path = Path(folder) / "screenshot.png"
        words = screen_program(str(path))
        printed = run(words)
        data = path.read_bytes() if path.exists() else printed
    if not data.startswith(b"\x89PNG"):
        raise OptionError(f"{words[0]} took no image of the screen.", "Use --image PATH.")
    return MediaBytes("image", "screenshot.png", data)


def screen_program(path: str) -> list[str]:
    """A program that takes an image of the screen, to ``path`` or to stdout."""
    if sys.platform == "darwin":
        return ["screencapture", "-x", path]
    if sys.platform == "win32":
        return ["powershell", "-NoProfile", "-Command", f"& {{{SCREEN_POWERSHELL}}}", path]
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY")
    programs = [["grim", path], ["spectacle", "-b", "-n", "-o", path]] if wayland else []
    if x11 and not wayland:
        programs = [["maim", path], ["scrot", "-o", path], ["import", "-window", "root", f"png:{path}"]]
    programs += [["gnome-screenshot", "-f", path]] if wayland or x11 else []
    for words in programs:
        if shutil.which(words[0]):
            return words
    if not programs:
        raise OptionError("There is no screen here.", "It needs a desktop: Wayland or X11.")
    names = ", ".join(words[0] for words in programs)
    raise OptionError("The screen cannot be taken here: no program for it is installed.", f"Install one of {names}.")


def run(words: list[str], *, fails: bool = False) -> bytes:
    """What a program prints. Raises ``OptionError`` where it does not answer, or fails and may not."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OptionError(f"{words[0]} does not answer: {error}", "Use --image PATH.") from error
    if done.returncode and not fails:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0] or f"code {done.returncode}"
        raise OptionError(f"{words[0]} fails: {said}", "Use --image PATH.")
    return done.stdout
