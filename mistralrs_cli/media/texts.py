"""Text files in a question: read whole, in whichever encoding, and marked as what they are."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from ..errors import MediaDecodeError, MediaForbidden, MediaNotFound, MediaTooLarge
from ..messages import TextFile
from .formats import HEAD, identify
from .kinds import NOUNS
from .labels import label
from .lookup import Lookup, similar

LARGEST = 2**20
"""Bytes a text may have: about 250,000 tokens, more than most models hold."""

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LEGACY = "cp1252"
FOREIGN = 0.3
"""The share of bytes above ASCII from which on a text that is not UTF-8 is not taken for a Western European one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A text file as it goes into a question, and a note about it."""

    file: TextFile
    lines: int
    note: str = ""

    @property
    def summary(self) -> str:
        """``43 lines of text``."""
        return f"{self.lines:,} line{'' if self.lines == 1 else 's'} of text"


def encoding_of(data: bytes, *, whole: bool = True) -> str | None:
    """The encoding of a text; ``None`` where the bytes are not text, or in an unknown one.

    UTF-8, UTF-16 or UTF-32 with a byte order mark, else Windows-1252 where few bytes are above ASCII. The end of bytes
    that are not the ``whole`` file may be half a character.
    """
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return encoding
    if any(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in data):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        high = sum(byte > 127 for byte in data)
        try:
            data.decode(LEGACY)
        except UnicodeDecodeError:
            return None
        return LEGACY if high <= FOREIGN * len(data) else None
    return "utf-8"


def read_text(source: str) -> Found:
    """A text file, with its name before it and a fence around it.

    Raises ``MediaNotFound`` where there is none, ``MediaForbidden`` where it may not be read, ``MediaTooLarge`` for
    more than a MiB and ``MediaDecodeError`` for what is no text.
    """
    shown = label(source)
    try:
        path = Path(source).expanduser()
        if not path.exists() and len(alike := Lookup().files(path)) == 1:
            path = alike[0]
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        close = similar(path)
        hint = f"Did you mean '{label(close)}'?" if close else "Check the path."
        raise MediaNotFound(f"No such file: {shown}", hint) from error
    except IsADirectoryError as error:
        raise MediaNotFound(f"{shown} is a folder, not a file.", f"Name the files in it: /file {shown}/*") from error
    except PermissionError as error:
        raise MediaForbidden(f"No permission to read {shown}", "Check the file's owner and mode (ls -l).") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise MediaNotFound(f"{shown} cannot be read.", "Check the path.") from error
    if len(data) > LARGEST:
        raise MediaTooLarge(f"{shown} is larger than 1 MiB, the limit for a text.", f"Give a part of it: head {shown}")
    if not data:
        raise MediaDecodeError(f"{shown} is empty (0 bytes).", "Give a file that holds a text.")
    encoding = encoding_of(data)
    try:
        text = data.decode(encoding) if encoding else None
    except UnicodeDecodeError:  # a byte order mark before something else
        text = None
    found = identify(data[:HEAD])
    if found is not None and found.kind is not None and (text is None or found.name == "PDF"):  # which may be ASCII
        raise MediaDecodeError(
            f"{shown} is no text but {NOUNS[found.kind]} ({found.name}).",
            f"Give it as a medium: --{found.kind} {shown}",
        )
    if text is None:
        raise MediaDecodeError(
            f"{shown} is not a text in UTF-8, UTF-16 or Windows-1252.",
            "Convert it first, as in: iconv -f SHIFT_JIS -t UTF-8. Images, audio and video need no @.",
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    note = f"{shown} is not UTF-8 and was read as Windows-1252" if encoding == LEGACY else ""
    return Found(TextFile.fenced(source, text), text.count("\n") + 1, note)
