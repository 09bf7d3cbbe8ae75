"""How large a terminal is."""

from __future__ import annotations

import os
import shutil
from typing import TextIO


def size_of(stream: TextIO) -> tuple[int, int]:
    """Columns and rows of the terminal as it is now, whatever the environment says it once was.

    Where it does not say, the environment's, else 80 and 24.
    """
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = rows = 0
    if columns > 0 and rows > 0:
        return columns, rows
    usual = shutil.get_terminal_size()
    return columns or usual.columns, rows or usual.lines
