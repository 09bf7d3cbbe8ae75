"""Bounds for JSON that its grammar allows to go on forever: long numbers, runs of blanks or of one character."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

DIGITS = 16
"""Digits before the point of a number, and behind it: what a float64 holds."""
EXPONENT = 2
"""Digits of an exponent: 16 digits and 99 more are within a float64's range."""
BLANKS = 8
"""Spaces, tabs and line ends, written as they are or escaped, one after the other in a text."""
SAME = 32
"""The same character one after the other in a text."""
TOKENS = 16
"""The same token one after the other in a text."""

BLANK = frozenset({b" ", b"\t", b"\\n", b"\\t", b"\\r", b"\xc2\xa0", b"\\u0020", b"\\u00a0", b"\\u000a", b"\\u0009"})
BLANK_ESCAPES = frozenset(b"ntr")


class TokenTexts:
    """The bytes that each token of a vocabulary writes; none for special tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self.texts: Sequence[bytes] = [
            b"" if tokenizer.is_special_token(token) else tokenizer.decode_bytes([token])
            for token in range(tokenizer.vocab_size)
        ]
        self.starting = lru_cache(maxsize=256)(self._starting)

    @cached_property
    def digits(self) -> Any:
        """How many digits each token begins with: uint16 [vocabulary]."""
        counts = (len(text) - len(text.lstrip(b"0123456789")) for text in self.texts)
        return np.fromiter(counts, np.uint16, len(self.texts))

    def _starting(self, piece: bytes) -> Any:
        """Tokens that begin with ``piece``, or that it begins with: int64 [tokens]."""
        found = [
            token
            for token, text in enumerate(self.texts)
            if text and (text.startswith(piece) or piece.startswith(text))
        ]
        return np.array(found, np.int64)


class Runaway:
    """Follows one JSON answer byte by byte, and gives the tokens that would exceed a bound."""

    def __init__(self, tokens: TokenTexts) -> None:
        self.tokens = tokens
        self._text = False  # inside of a text
        self._unit = b""  # what is begun of a character, or of an escape
        self._last = b""  # the last whole one
        self._same = self._blanks = 0  # how many of it, and of blanks, came last
        self._left: int | None = None  # digits that the number may still have in its present part
        self._token = -1  # the last token
        self._times = 0  # how many of it came last

    def follow(self, token: int) -> None:
        """One more token of the answer."""
        self._times = self._times + 1 if token == self._token else 1
        self._token = token
        for byte in self.tokens.texts[token] if token < len(self.tokens.texts) else b"":
            if self._text:
                self._in_text(byte)
            else:
                self._outside(byte)

    def blocked(self) -> Any | None:
        """Tokens that would make a number or a run too long: int64 [tokens]; ``None`` where none would."""
        if not self._text:
            if self._left is None:
                return None
            found = np.flatnonzero(self.tokens.digits > self._left)
            return found if len(found) else None
        if self._blanks >= BLANKS:
            if self._unit == b"\\":
                return self._those(bytes([letter]) for letter in BLANK_ESCAPES)
            if not self._unit:
                return self._those(piece for piece in BLANK if piece not in (b"\\u0020", b"\\u00a0"))
        if self._same >= SAME and self._last.startswith(self._unit):
            return self.tokens.starting(self._last[len(self._unit) :])
        return np.array([self._token]) if self._times >= TOKENS else None

    def _those(self, pieces: Any) -> Any:
        """Tokens that begin with any of some pieces, and not with a part of one only."""
        found = [token for piece in pieces for token in self.tokens.starting(piece) if self._begins(token, piece)]
        return np.array(found, np.int64) if found else None

    def _begins(self, token: int, piece: bytes) -> bool:
        return self.tokens.texts[token].startswith(piece)

    def _in_text(self, byte: int) -> None:
        if not self._unit and byte == 0x22:
            self._text, self._left = False, None
            return
        self._unit += bytes([byte])
        if whole(self._unit):
            self._same = self._same + 1 if self._unit == self._last else 1
            self._blanks = self._blanks + 1 if self._unit.lower() in BLANK else 0
            self._last, self._unit = self._unit, b""

    def _outside(self, byte: int) -> None:
        if byte == 0x22:
            self._text, self._unit, self._last, self._same, self._blanks = True, b"", b"", 0, 0
        elif 0x30 <= byte <= 0x39:
            self._left = max((DIGITS if self._left is None else self._left) - 1, 0)
        elif self._left is not None and byte in b".":
            self._left = DIGITS
        elif self._left is not None and byte in b"eE+-":
            self._left = EXPONENT
        else:
            self._left = None


def whole(unit: bytes) -> bool:
    """Whether the bytes of a JSON text are one whole character, or one whole escape."""
    if unit[0] == 0x5C:
        return len(unit) == (6 if unit[1:2] == b"u" else 2)
    if unit[0] < 0xC0:
        return True
    return len(unit) == (2 if unit[0] < 0xE0 else 3 if unit[0] < 0xF0 else 4)
