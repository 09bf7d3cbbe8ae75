"""Plain text tables, and numbers as people read them."""

import math
from collections.abc import Collection, Sequence
from datetime import datetime

from rich.cells import cell_len

UNITS = ("B", "kB", "MB", "GB", "TB")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Columns with two spaces between them and a line for the head; those in ``right`` end at the same place."""
    lines = [head, *rows]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(head))]
    text = ""
    for line in lines:
        cells = [
            " " * (width - cell_len(cell)) + cell if column in right else cell + " " * (width - cell_len(cell))
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text += "  ".join(cells).rstrip() + "\n"
    return text


def byte_size(size: float) -> str:
    """``812 B``, ``10.5 MB``, ``8.0 GB``: powers of ten, as disks are sold."""
    steps = min(int(math.log10(max(size, 1)) // 3), len(UNITS) - 1)
    return f"{size / 1000**steps:.{1 if steps else 0}f} {UNITS[steps]}"


def day(moment: float) -> str:
    """A Unix time as a local date."""
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d")
