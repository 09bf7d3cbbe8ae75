"""Which image an answer speaks of: “Image 2:”, “the second picture”, “page 7”, the name of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

NUMBERED = re.compile(r"(?i)(?:image|picture|photo|figure|img|page|图片|图像|图)\s*[_#.:\-]?\s*(\d{1,4})(?!\d)")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
ORDINAL = re.compile(rf"(?i)\b({'|'.join(ORDINALS)})\s+(?:image|picture|photo|page)\b")
PAGE = "#page="


def image_number(words: str) -> int | None:
    """The number in ``image_2`` or “Picture 2”, which counts from 1."""
    found = NUMBERED.fullmatch(words.strip())
    return int(found[1]) if found else None


def last_mentioned(text: str, sources: Sequence[str]) -> int | None:
    """Which of several images, counted from 0, the end of a text speaks of; ``None`` where it names none of them."""
    found: list[tuple[int, int]] = []
    for match in NUMBERED.finditer(text):
        number = int(match[1])
        pages = [index for index, source in enumerate(sources) if source.endswith(f"{PAGE}{number}")]
        if "page" in match[0].lower() and len(pages) == 1:
            found.append((match.start(), pages[0]))
        elif 1 <= number <= len(sources):
            found.append((match.start(), number - 1))
    for match in ORDINAL.finditer(text):
        number = ORDINALS.index(match[1].lower())
        if number < len(sources):
            found.append((match.start(), number))
    names = [PurePath(source).name.lower() for source in sources]
    lower = text.lower()
    for index, name in enumerate(names):
        if 2 < len(name) < 200 and names.count(name) == 1 and (place := lower.rfind(name)) >= 0:
            found.append((place, index))
    return max(found)[1] if found else None
