"""A small writer of ICC profiles (ICC.1:2022): matrix and curves, grey, and a table for CMYK."""

import struct

D50 = (0.9642, 1.0, 0.8249)
SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841))
ADOBE_RGB = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))


def rgb(columns: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """A profile of three primaries (XYZ for D50) and one gamma."""
    red, green, blue = (_xyz(*column) for column in columns)
    tags = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue, b"wtpt": _xyz(*D50)}
    return _profile(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma)))


def grey(gamma: float) -> bytes:
    """A profile of grey with a gamma."""
    return _profile(b"GRAY", b"XYZ ", {b"wtpt": _xyz(*D50), b"kTRC": _curve(gamma)})


def cmyk(cyan: tuple[int, int, int]) -> bytes:
    """A profile in which full cyan is this colour of Lab (L 0 to 255, a and b around 128), whatever else is inked, and
    black ink is black."""
    table = b""
    for corner in range(16):
        inked = corner & 8, corner & 1
        table += bytes((0, 128, 128) if inked[1] else cyan if inked[0] else (255, 128, 128))
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if row == column else 0 for row in range(3) for column in range(3)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + table + identity * 3
    return _profile(b"CMYK", b"Lab ", {b"wtpt": _xyz(*D50), b"A2B0": lut, b"A2B1": lut}, b"prtr")


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], device: bytes = b"mntr") -> bytes:
    tags = tags | {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)}
    start = 132 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        directory += name + struct.pack(">II", start + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"test", 0x02400000, device, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", *_fixed(*D50))
    return head.ljust(128, b"\0") + directory + body


def _fixed(*numbers: float) -> tuple[int, ...]:
    return tuple(round(number * 65536) for number in numbers)


def _xyz(*numbers: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *_fixed(*numbers))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
