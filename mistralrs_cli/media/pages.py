"""Documents of several pages: each page is an image of its own, in the document's order.

``doc.pdf`` means all pages, ``doc.pdf#page=2-4`` some of them; TIFF files from a scanner likewise.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import MediaError, MediaNotFound, MediaTooLarge
from ..messages import MediaBytes, TextFile
from ..options import MediaPolicy
from . import pdf
from .formats import identify
from .labels import is_inline, label

if TYPE_CHECKING:
    from PIL import Image

_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:(-)\s*(\d{0,9})\s*)?")
REDUCED = 1
"""Bit of a TIFF's NewSubfileType (tag 254): a smaller copy of another page."""


def numbers(pages: str, count: int, source: str, most: int) -> tuple[int, ...]:
    """The pages that words like ``2``, ``2-4``, ``7-`` or ``1,3-5`` name, counted from 1, in the order given.

    Raises ``MediaError`` for words that name none, ``MediaNotFound`` for a page that is not among ``count`` and
    ``MediaTooLarge`` for more than ``most`` pages.
    """
    found: list[int] = []
    for word in pages.split(",", most + 1)[: most + 1]:
        match = _RANGE.fullmatch(word)
        if match is None:
            raise MediaError(
                f"“{pages[:40]}” names no pages of {label(source)}.", "For example: #page=2 or #page=2-4,7"
            )
        first = int(match[1])
        last = (int(match[3]) if match[3] else count) if match[2] else first
        for number in (first, last):
            if not 1 <= number <= count:
                there = "one page" if count == 1 else f"{count:,} pages"
                raise MediaNotFound(f"{label(source)} has {there}; there is no page {number:,}.", "Name another page.")
        if last < first:
            raise MediaError(f"The pages {word.strip()} run backwards.", f"Write {last}-{first}.")
        if (asked := len(found) + last - first + 1) > most:
            named = label(source)
            raise MediaTooLarge(
                f"{named} has {count:,} pages; at most {most:,} are taken at once."
                if asked == count
                else f"{asked:,} or more pages of {named} are asked for; at most {most:,} are taken at once.",
                f"Name some of them, as in {named}#page=1-{min(most, 20)}",
            )
        found += range(first, last + 1)
    return tuple(found)


def in_pages(medium: MediaBytes, policy: MediaPolicy) -> tuple[MediaBytes | TextFile, ...]:
    """The pages of a document, each as a medium of its own; anything else as it is.

    With ``page_text`` in its options, the text of each page of a PDF comes before its image.

    Raises:
        MediaTooLarge: more pages than ``policy.pages`` at once.
        MediaError: a page that is not there, or whatever reading the document raises.
    """
    if medium.kind != "image":
        return (medium,)
    data, source, pages = medium.data, medium.source, medium.options.pages
    found = identify(data)
    name = found.name if found else ""
    if name == "PDF":
        count = pdf.page_count(data, source, policy)
    elif name == "TIFF":
        count = _tiff_count(data, source, policy)
    elif pages is not None:
        raise MediaError(f"{label(source)} has no pages.", "Leave out what follows #.")
    else:
        return (medium,)
    if pages is None and count == 1 and name == "TIFF":
        return (medium,)
    chosen = numbers(pages or "1-", count, source, policy.pages)
    texts = pdf.page_texts(data, source, chosen, policy) if name == "PDF" and medium.options.page_text else []
    whole = label(source) if is_inline(source) else source
    parts: list[MediaBytes | TextFile] = []
    for index, number in enumerate(chosen):
        page = f"{whole}#page={number}"
        if texts and texts[index]:
            parts.append(TextFile.fenced(page, texts[index]))
        parts.append(replace(medium, source=page, options=replace(medium.options, pages=str(number))))
    return tuple(parts)


def chosen_page(pages: str | None) -> int:
    """The page that a medium stands for once ``in_pages`` has split its document; the first one of one not split."""
    return int(pages) if pages and pages.isdecimal() else 1


def tiff_page(image: Image.Image, page: int) -> None:
    """Turn an opened TIFF to a page, counted from 1. Raises ``EOFError`` where there is none."""
    image.seek(_tiff_frames(image)[page - 1] if page > 1 else 0)


def _tiff_count(data: bytes, source: str, policy: MediaPolicy) -> int:
    from .pillow import open_image

    with open_image(data, source, policy) as image:
        return len(_tiff_frames(image))


def _tiff_frames(image: Image.Image) -> list[int]:
    """The frames of a TIFF that are pages: not the smaller copies that some keep beside them."""
    frames = []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        tags = getattr(image, "tag_v2", {})
        if index == 0 or not int(tags.get(254, 0)) & REDUCED:
            frames.append(index)
    return frames
