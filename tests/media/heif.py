"""A small HEIC writer, for want of an encoder: coded pictures in a row, as one picture or as the tiles of one."""

import struct
from pathlib import Path

from .conftest import convert


def heic(folder: Path, colours: list[str], edge: int, quarters: int = 0, profile: bytes = b"") -> bytes:
    """A HEIC of flat squares of ``edge`` pixels, side by side, turned anticlockwise by so many quarters."""
    coded = [_coded(folder, colour, edge) for colour in colours]
    count, width = len(colours), edge * len(colours)
    tiled = count > 1
    items = [_item(number, b"hvc1", hidden=tiled) for number in range(1, count + 1)]
    payload = [picture for _, picture in coded]
    properties = [coded[0][0], _full(b"ispe", struct.pack(">II", edge, edge)), _box(b"irot", bytes([quarters]))]
    links = [bytes([0x81, 2] if tiled else [0x81, 2, 0x83])] * count
    references = b""
    if profile:
        properties.append(_box(b"colr", b"prof", profile))
        links = [bytes([*link, 4]) for link in links]
    if tiled:
        items.append(_item(count + 1, b"grid"))
        payload.append(struct.pack(">BBBBHH", 0, 0, 0, count - 1, width, edge))
        properties.append(_full(b"ispe", struct.pack(">II", width, edge)))
        links.append(bytes([4, 0x83]))
        tiles = struct.pack(f">HH{count}H", count + 1, count, *range(1, count + 1))
        references = _full(b"iref", _box(b"dimg", tiles))
    uses = [struct.pack(">HB", number, len(link)) + link for number, link in enumerate(links, 1)]
    facts = [
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", len(items))),
        _full(b"iinf", struct.pack(">H", len(items)), *items),
        references,
        _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", struct.pack(">I", len(uses)), *uses)),
    ]
    kind = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(kind) + len(_meta(facts, payload, 0)) + 8
    return kind + _meta(facts, payload, start) + _box(b"mdat", *payload)


def _meta(facts: list[bytes], payload: list[bytes], start: int) -> bytes:
    places = []
    for number, part in enumerate(payload, 1):
        places.append(struct.pack(">HHHII", number, 0, 1, start, len(part)))
        start += len(part)
    return _full(b"meta", *facts, _full(b"iloc", bytes([0x44, 0]), struct.pack(">H", len(places)), *places))


def _coded(folder: Path, colour: str, edge: int) -> tuple[bytes, bytes]:
    """The decoder's configuration box, and the coded picture."""
    path = folder / "coded.mp4"
    convert(
        *("-f", "lavfi", "-i", f"color={colour}:s={edge}x{edge}", "-frames:v", "1", "-c:v", "libx265"),
        *("-x265-params", "log-level=none", "-tag:v", "hvc1", "-pix_fmt", "yuv420p", str(path)),
    )
    data = path.read_bytes()
    return _found(data, b"hvcC"), _found(data, b"mdat")[8:]


def _found(data: bytes, kind: bytes) -> bytes:
    start = data.index(kind) - 4
    return data[start : start + int.from_bytes(data[start : start + 4], "big")]


def _item(number: int, kind: bytes, hidden: bool = False) -> bytes:
    return _box(b"infe", struct.pack(">IHH", 2 << 24 | hidden, number, 0), kind, b"\0")


def _full(kind: bytes, *parts: bytes) -> bytes:
    return _box(kind, bytes(4), *parts)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body
