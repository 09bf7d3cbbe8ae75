"""Which kinds of stream a container holds: its first bytes do not say, a decoder does."""

from __future__ import annotations

import re
from pathlib import Path

from . import ffmpeg

_STREAM = re.compile(r"Stream #\d+:\d+.*?: (Video|Audio): (.*)")


def tracks(path: Path, source: str) -> frozenset[str]:
    """``video`` and ``audio``, as far as a file holds them; empty where ffmpeg cannot read it.

    A cover picture is no video. Raises ``MediaError`` where there is no ffmpeg, or it does not come to an end.
    """
    found: set[str] = set()
    with ffmpeg.run(path, source, ["-map", "0", "-c", "copy", "-t", "0", "-f", "null", "-"]) as run:
        run.read(1)
    for line in run.lines:
        if "Output #" in line:
            break
        if (match := _STREAM.search(line)) and "(attached pic)" not in match[2]:
            found.add(match[1].lower())
    return frozenset(found)


def tracks_of(data: bytes, source: str) -> frozenset[str]:
    """The same of bytes."""
    with ffmpeg.stored(data) as path:
        return tracks(path, source)
