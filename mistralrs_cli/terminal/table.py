"""Plain text tables, and days as people read them."""

from collections.abc import Collection, Sequence
from datetime import datetime

from rich.cells import cell_len


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


def day(moment: float) -> str:
    """A Unix time as a local date."""
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d")
