"""How wide the columns of a table are on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

NARROW, MORE = 4, 2  # numbers that count rows get longer


def fitted(natural: Sequence[int], room: int) -> list[int]:
    """Widths of at most ``room`` together: the widest columns give way to the others, and to one another alike."""
    widths = list(natural)
    while sum(widths) > room and max(widths) > 1:
        most = max(widths)
        widest = [index for index, width in enumerate(widths) if width == most]
        below = max([width for width in widths if width < most], default=1)
        over = sum(widths) - room
        fewer = min(most - below, -(-over // len(widest)))
        for index in widest:
            less = min(fewer, over)
            widths[index] -= less
            over -= less
    return widths


def spacious(natural: Sequence[int], room: int) -> list[int]:
    """Widths for rows that are still to come: narrow columns get some more, all up to twice of it if there is room."""
    widths = fitted([width + MORE if width <= NARROW else width for width in natural], room)
    spare, total = max(0, room - sum(widths)), sum(widths)
    return [width + min(width, spare * width // total) for width in widths] if total else widths
