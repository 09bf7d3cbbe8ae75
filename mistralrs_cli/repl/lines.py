"""Lines as they are typed or piped; what three double quotes enclose is one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TextIO

from ..errors import OptionError

FENCE = '"""'
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])|\x9b[0-?]*[ -/]*[@-~]")
"""Control sequences of a terminal (ECMA-48): colours, cursor movements, titles."""


def is_open(text: str) -> bool:
    """Whether a text of several lines was begun and is not ended yet."""
    text = text.strip()
    return text.startswith(FENCE) and (len(text) < 2 * len(FENCE) or not text.endswith(FENCE))


def unfenced(text: str) -> str:
    """A text without the quotes around it."""
    stripped = text.strip()
    if stripped.startswith(FENCE) and not is_open(stripped):
        return stripped[len(FENCE) : -len(FENCE)].strip("\n")
    return text


def clean(text: str) -> str:
    """A typed or pasted text without control characters; line ends are one sign, tabs stay.

    Sequences that colour a terminal's text go as a whole.
    """
    text = ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) != "Cc")


def read_lines(stdin: TextIO | None) -> Iterator[str]:
    """The lines of a pipe that say something, as they come. Raises ``OptionError`` for bytes that are no text."""
    begun = ""
    for data in () if stdin is None else stdin.buffer:
        try:
            line = data.decode("utf-8" if begun else "utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise OptionError(
                "What is piped on stdin is not text.", "To ask about a medium, give --image - and a question after -i."
            ) from error
        begun = f"{begun}\n{line}" if begun else line
        if not is_open(begun):
            if begun.strip():
                yield begun
            begun = ""
    if begun.strip():
        yield begun
