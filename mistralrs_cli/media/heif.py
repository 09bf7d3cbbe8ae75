"""What a HEIC or AVIF file says of its colours."""

from __future__ import annotations

import struct

_NEAR = 1 << 20
_LARGEST_PROFILE = 4 << 20


def profile(data: bytes) -> bytes | None:
    """The ICC profile of the first image that has one."""
    if data[4:8] != b"ftyp":
        return None
    for kind in (b"colrprof", b"colrrICC"):
        place = data.find(kind, 0, _NEAR)
        if place >= 4:
            (size,) = struct.unpack_from(">I", data, place - 4)
            if 12 < size <= _LARGEST_PROFILE:
                return data[place + 8 : place - 4 + size]
    return None


def coding(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer function of the first image that has them, as the numbers of ITU-T H.273."""
    place = data.find(b"colrnclx", 0, _NEAR) if data[4:8] == b"ftyp" else -1
    if place < 0 or len(data) < place + 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, place + 8)
    return primaries, transfer
