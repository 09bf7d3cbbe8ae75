"""The bytes of single tokens, which need not be whole characters. Pure but for the tokenizer it is given."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # a byte token of SentencePiece
BLANK = "\u2581"  # SentencePiece's sign for a blank


@lru_cache(maxsize=1)
def byte_of_sign() -> dict[str, int]:
    """The byte that each sign of a byte-level tokenizer stands for (GPT-2's table, which tokenizers' ByteLevel has)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + index): byte for index, byte in enumerate(rest)}


def is_byte_level(tokenizer: Any) -> bool:
    """Whether the pieces of a vocabulary are written in the signs of bytes."""
    return "ByteLevel" in repr(getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None))


def token_bytes(tokenizer: Any, token: int, *, byte_level: bool) -> bytes:
    """The bytes of one token; of one that is no text, those of its name."""
    piece = tokenizer.convert_ids_to_tokens(token)
    if isinstance(piece, bytes):
        return piece
    if not isinstance(piece, str):
        return b""
    if token in tokenizer.added_tokens_decoder:
        return piece.encode("utf-8", "replace")
    if byte_level:
        signs = byte_of_sign()
        if all(sign in signs for sign in piece):
            return bytes(signs[sign] for sign in piece)
    elif found := BYTE.fullmatch(piece):
        return bytes([int(found[1], 16)])
    return piece.replace(BLANK, " ").encode("utf-8", "replace")
