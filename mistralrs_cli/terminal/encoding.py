"""Text for streams that cannot write every letter, as under ``LC_ALL=C`` with ``PYTHONUTF8=0``."""

from __future__ import annotations

import codecs
from typing import TextIO

PLAIN = {
    **dict.fromkeys("×✕✖", "x"),
    **dict.fromkeys("·∙", "."),
    **dict.fromkeys("•●◦▪‣", "*"),
    **dict.fromkeys("─━═\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("│┃║▌", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰", "+"),
    **dict.fromkeys("“”„«»″", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u2032", "'"),
    **dict.fromkeys("\u00a0\u2009\u202f", " "),
    "…": "...",
    "→": "->",
    "←": "<-",
    "⇒": "=>",
    "↔": "<->",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "±": "+-",
    "÷": "/",
    "°": " deg",
    "µ": "u",
    "€": "EUR",
    "£": "GBP",
}
"""Signs, and what people write for them where they lack them."""


def encodable(text: str, stream: TextIO) -> str:
    """Text that a stream can write: signs its encoding lacks become plain ones, letters (and bytes of names) ``?``."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(one(sign, encoding) for sign in text)
    return text


def one(sign: str, encoding: str) -> str:
    """One sign as an encoding has it."""
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return PLAIN.get(sign, "?")
    return sign


def is_unicode(stream: TextIO) -> bool:
    """Whether a stream can write every letter."""
    try:
        return codecs.lookup(stream.encoding or "utf-8").name.startswith("utf")
    except LookupError:
        return False


class Plain:
    """A stream that replaces what its encoding lacks; without one, Python would write escapes such as ``\\xd7``."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.encoding = stream.encoding
        self.errors = "replace"

    def write(self, text: str) -> int:
        """Write what can be written."""
        return self.stream.write(encodable(text, self.stream))

    def flush(self) -> None:
        """Send it on."""
        self.stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Its descriptor."""
        return self.stream.fileno()


def writable(stream: TextIO) -> TextIO:
    """The stream itself, or one that writes to it what its encoding has."""
    return stream if is_unicode(stream) else Plain(stream)  # type: ignore[return-value]
