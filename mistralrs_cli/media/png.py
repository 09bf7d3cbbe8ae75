"""What stands beside the image in a PNG file: texts, of which Pillow takes few, and the name of its colours."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# what Pillow takes of one text or profile, and less than what it takes of all texts
_LONGEST = 1 << 20
_ALL = 16 * _LONGEST
_LARGEST_PROFILE = 4 << 20
_MOST_CHUNKS = 200_000


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of each chunk, as far as the file goes.

    Raises ``ValueError`` for more chunks than any image has.
    """
    place = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], place + 8, min(place + 8 + length, len(data))
        place += 12 + length
    raise ValueError("too many chunks")


def readable(data: bytes) -> bytes:
    """The same file without what Pillow would refuse it for although the image is whole: texts and profiles that
    are long or damaged. Any other file as it is."""
    if not data.startswith(SIGNATURE):
        return data
    left_out, total = set[int](), 0
    texts = set[int]()
    xmp: int | None = None  # a text that may say which way is up
    for kind, start, end in chunks(data):
        if not kind[:1].islower():  # the image itself
            continue
        if xmp is None and data.startswith(b"XML:com.adobe.xmp\0", start):
            xmp = start
        if kind in _TEXTS and total > _ALL and start != xmp:  # enough is known: unpacking all of them may take long
            left_out.add(start)
            continue
        size = _unpacked(kind, data, start, end)
        if size is None or size > _LONGEST or not _intact(data, start, end):
            left_out.add(start)
        elif kind in _TEXTS:
            total += size
            texts.add(start)
    if total > _ALL:
        left_out |= texts - {xmp}
    if not left_out:
        return data
    kept = [data[start - 8 : end + 4] for _, start, end in chunks(data) if start not in left_out]
    return b"".join([SIGNATURE, *kept])


def _intact(data: bytes, start: int, end: int) -> bool:
    """Whether a chunk is whole and its checksum right."""
    return zlib.crc32(data[start - 4 : end]).to_bytes(4, "big") == data[end : end + 4]


def _unpacked(kind: bytes, data: bytes, start: int, end: int) -> int | None:
    """How many bytes a text or profile unpacks to, a little more than the longest where it is more; ``None`` where it
    cannot be unpacked."""
    packed = _packed(kind, data, start, end)
    if packed is None:
        return end - start if kind in _TEXTS else 0
    unpacked = _inflated(packed, _LONGEST + 1)
    return None if unpacked is None else len(unpacked)


def _packed(kind: bytes, data: bytes, start: int, end: int) -> bytes | None:
    """The packed part of a chunk, ``None`` where nothing in it is packed."""
    match kind:
        case b"zTXt" | b"iCCP":
            place = data.find(b"\0", start, end)
            return data[place + 2 : end] if place >= 0 and data[place + 1 : place + 2] == b"\0" else b"?"
        case b"iTXt":
            place = data.find(b"\0", start, end)
            if place < 0 or data[place + 1 : place + 2] != b"\1":
                return None
            language = data.find(b"\0", place + 3, end)
            keyword = data.find(b"\0", language + 1, end) if language >= 0 else -1
            return data[keyword + 1 : end] if keyword >= 0 else b""
    return None


def _inflated(packed: bytes, most: int) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error:
        return None


def large_profile(data: bytes) -> bytes | None:
    """The colour profile, where it is one that Pillow takes for too large; ``None`` where there is none."""
    if data.startswith(SIGNATURE):
        for kind, start, end in chunks(data):
            packed = _packed(kind, data, start, end) if kind == b"iCCP" else None
            if packed is not None:
                return _inflated(packed, _LARGEST_PROFILE)
            if kind == b"IDAT":
                break
    return None


def coding(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer function as the numbers of ITU-T H.273, where the file has them (``cICP``)."""
    if data.startswith(SIGNATURE):
        for kind, start, end in chunks(data):
            if kind == b"cICP" and end - start == 4:
                return data[start], data[start + 1]
            if kind == b"IDAT":
                break
    return None
