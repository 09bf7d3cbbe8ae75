"""Which columns of a table are what: the prompt, the media, and what merely comes along."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ..errors import OptionError
from ..messages import Modality

PROMPT = ("prompt", "question", "input", "text", "instruction")
KINDS: dict[str, Modality | None] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "media": None,
    "file": None,
    "path": None,
}
"""Columns of media; those of no kind take what the file is. ``image_2``, ``image2`` and ``images`` are such, too."""
NUMBERED = re.compile(r"(image|audio|video|media|file|path)s?[ _-]?\d*", re.IGNORECASE)


def prompt_of(columns: Mapping[str, Any]) -> str | None:
    """The prompt that a row brings. Raises ``OptionError`` for one that is no text."""
    for name in PROMPT:
        for column, value in columns.items():
            if column.strip().casefold() == name and value is not None:
                if not isinstance(value, str):
                    raise OptionError(f"The column {column} is no text.", "A prompt is text.")
                return value if value.strip() else None
    return None


def columns_media(columns: Mapping[str, Any]) -> list[tuple[Modality | None, str]]:
    """The media that a row names, in the order of its columns: a path in a cell, or a JSON list of paths.

    Raises ``OptionError`` for anything else there.
    """
    found = []
    for column, value in columns.items():
        if match := NUMBERED.fullmatch(column.strip()):
            kind = KINDS[match[1].casefold()]
            found += [(kind, path) for path in paths_in(value, column)]
    return found


def paths_in(value: Any, column: str) -> Iterator[str]:
    """The paths in one cell."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):  # a file's name may begin with a bracket
            value = json.loads(value)
    if value is None or value == "":
        return
    for path in value if isinstance(value, list) else [value]:
        if not isinstance(path, str):
            raise OptionError(f"The column {column} holds what is no path.", "Write a path, or a JSON list of paths.")
        if path.strip():
            yield path.strip()
