"""Numbers of bytes as people read them, in one unit everywhere: powers of 1024, as ``--max-memory`` takes them."""

UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def readable(size: float) -> str:
    """``7.6 GiB``, ``320 MiB``, ``812 bytes``."""
    for unit, scale in UNITS:
        if abs(size) >= scale:
            return f"{size / scale:.1f} {unit}" if abs(size) < 100 * scale else f"{size / scale:,.0f} {unit}"
    return f"{size:.0f} bytes"
