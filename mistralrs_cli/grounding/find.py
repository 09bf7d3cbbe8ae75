"""From the text of an answer to boxes and points in pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from .json_answers import json_regions
from .mentions import last_mentioned
from .tags import HUNDREDTHS, tag_regions
from .values import Box, Found, ImageCoordinates, ParsedRegion, Point

OVER = 1.05
"""How far beyond an image's edge a model may point, which is then its edge; farther is another way of counting."""

LIST = re.compile(r"\[\s*(\d+(?:\.\d+)?(?:\s*,\s*\d+(?:\.\d+)?){3})\s*\]")
QUICK = re.compile(r"[\[{<]")


class Medium(Protocol):
    """What is known of a medium that was asked about."""

    @property
    def source(self) -> str: ...
    @property
    def space(self) -> ImageCoordinates | None: ...


def find(text: str, media: Sequence[Medium]) -> Found:
    """The boxes and points of an answer about ``media``, which are all those of its prompt, in order.

    Without one whose ``space`` is known there are none.
    """
    spaces = [
        (index, medium.source, space) for index, medium in enumerate(media) if (space := medium.space) is not None
    ]
    if not spaces or QUICK.search(text) is None:
        return Found()
    last = max(space.turn for _, _, space in spaces)
    asked = [each for each in spaces if each[2].turn == last]
    marks = sorted([*tag_regions(text), *json_regions(text)], key=lambda mark: mark.at)
    if not marks and any(space.lists for _, _, space in asked):
        marks = [ParsedRegion(one.start(), tuple(map(float, one[1].split(",")))) for one in LIST.finditer(text)]
    return placed(text, marks, asked)


def asked_about(media: Sequence[Medium]) -> list[tuple[int, str, ImageCoordinates]]:
    """Number, source and space of the images and videos that an answer is about."""
    spaces = [(index, one.source, one.space) for index, one in enumerate(media) if one.space is not None]
    last = max((space.turn for _, _, space in spaces), default=0)
    return [each for each in spaces if each[2].turn == last]


def placed(text: str, marks: Sequence[ParsedRegion], asked: Sequence[tuple[int, str, ImageCoordinates]]) -> Found:
    """Marks in the pixels of the images that were asked about."""
    boxes, points, reasons = list[Box](), list[Point](), list[str]()
    fractions = in_fractions(marks)
    from_zero = any(mark.image == 0 for mark in marks)
    for mark in marks:
        chosen = choose(text, mark, asked, from_zero=from_zero)
        if chosen is None:
            reasons.append(NO_IMAGE)
            continue
        index, source, space = chosen
        span = span_of(mark, space, fractions=fractions)
        if span is None:
            reasons.append(NO_SCALE)
            continue
        pixels = in_pixels(mark, space, span)
        if pixels is None:
            reasons.append(OUTSIDE)
            continue
        time = mark.time if mark.time is not None or not space.times else mark.group
        if len(pixels) == 4:
            left, top, right, bottom = pixels
            boxes.append(Box((left, top, right, bottom), mark.label, index, source, time, mark.score))
        else:
            points.append(Point((pixels[0], pixels[1]), mark.label, index, source, time, mark.score))
    left_out = tuple(f"{reasons.count(reason)} {reason}" for reason in dict.fromkeys(reasons))
    return Found(tuple(boxes), tuple(points), left_out)


NO_IMAGE = "of its boxes and points left out: they name none of several images"
NO_SCALE = "of its boxes and points left out: it is not known what the numbers of this model mean"
OUTSIDE = "of its boxes and points left out: they lie outside the image"


def choose(
    text: str, mark: ParsedRegion, asked: Sequence[tuple[int, str, ImageCoordinates]], *, from_zero: bool
) -> tuple[int, str, ImageCoordinates] | None:
    """The image of a mark: the one it names, the only one, or the one that the text before it speaks of."""
    if len(asked) == 1:
        return asked[0]
    number = mark.image
    if number is None and mark.group is not None and not any(space.times for _, _, space in asked):
        number = int(mark.group)
    if number is not None:
        place = number if from_zero else number - 1
        return asked[place] if 0 <= place < len(asked) else None
    mentioned = last_mentioned(text[: mark.at], [source for _, source, _ in asked])
    return None if mentioned is None else asked[mentioned]


def in_fractions(marks: Sequence[ParsedRegion]) -> bool:
    """Whether an answer writes all its coordinates as fractions of the image, whatever its model is used to."""
    own = [number for mark in marks if mark.span is None for number in mark.numbers]
    return bool(own) and max(own) <= 1 and any(number % 1 for number in own)


def span_of(mark: ParsedRegion, space: ImageCoordinates, *, fractions: bool) -> tuple[float, float] | None:
    """What the numbers of a mark call the right and the lower edge of the image; ``None`` where that is not known."""
    if mark.span == HUNDREDTHS and space.span is not None:
        return space.span
    if mark.span is not None:
        return mark.span, mark.span
    return (1.0, 1.0) if fractions and space.span is not None else space.span


def in_pixels(mark: ParsedRegion, space: ImageCoordinates, span: tuple[float, float]) -> tuple[int, ...] | None:
    """Whole pixels, within the image; ``None`` for what lies outside it. A box's corners may come in any order."""
    numbers = mark.numbers
    if space.y_first if mark.y_first is None else mark.y_first:
        numbers = tuple(numbers[place ^ 1] for place in range(len(numbers)))
    sizes = (space.width, space.height) * (len(numbers) // 2)
    shares = [number / edge for number, edge in zip(numbers, span * (len(numbers) // 2), strict=True)]
    if any(not 1 - OVER <= share <= OVER for share in shares):
        return None
    pixels = [round(min(1.0, max(0.0, share)) * size) for share, size in zip(shares, sizes, strict=True)]
    if len(pixels) == 2:
        return tuple(min(pixel, size - 1) for pixel, size in zip(pixels, sizes, strict=True))
    (left, right), (top, bottom) = sorted(pixels[0::2]), sorted(pixels[1::2])
    return left, top, right, bottom
