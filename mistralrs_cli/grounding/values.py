"""What grounding is made of: how a model counts in an image, what an answer says, and where that is in pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 200
"""Characters of a path without a dot; a longer text is a medium in base64."""


@dataclass(frozen=True, slots=True)
class ImageCoordinates:
    """Where the numbers of an answer lie in one image, or in the frames of one video.

    ``width`` and ``height`` are the upright original's in pixels. ``span`` is what the model calls its right and its
    lower edge: (1000, 1000), or the pixels of the image that the processor made; ``None`` where nothing is published
    of the model. With ``y_first`` it writes y before x, with ``lists`` also boxes that nothing but brackets mark.
    ``turn`` counts the messages: an answer is about the images of the last message that has some. ``times`` are the
    seconds of a video's frames.
    """

    width: int
    height: int
    span: tuple[float, float] | None = None
    y_first: bool = False
    lists: bool = False
    turn: int = 0
    times: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedRegion:
    """A box (four ``numbers``) or a point (two) as an answer writes it, ``at`` a place in its text.

    ``span`` and ``y_first`` are given where the form itself says them, ``image`` (counted from 1) and ``time``
    (seconds) where the answer does. ``group`` is either, by what it was asked about.
    """

    at: int
    numbers: tuple[float, ...]
    label: str = ""
    image: int | None = None
    time: float | None = None
    group: float | None = None
    score: float | None = None
    span: float | None = None
    y_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A box in whole pixels of the upright original: left, top, right and bottom edge.

    ``media`` counts the media of the prompt from 0, ``source`` is what the user called that one. ``time`` is a
    video's, in seconds.
    """

    box: tuple[int, int, int, int]
    label: str
    media: int
    source: str
    time: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A point in whole pixels of the upright original, from its left and upper edge; the rest is as in ``Box``."""

    point: tuple[int, int]
    label: str
    media: int
    source: str
    time: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What an answer shows, in its order. ``left_out`` says in words what could not be placed, and why."""

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    left_out: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.boxes or self.points)

    @classmethod
    def of(cls, objects: Mapping[str, Any], sources: Sequence[str]) -> Found:
        """What ``objects`` made of them; media get the names that they have here."""
        boxes, points = objects.get("boxes") or (), objects.get("points") or ()
        return cls(
            tuple(Box(tuple(one["box"]), **named(one, sources)) for one in boxes),
            tuple(Point(tuple(one["point"]), **named(one, sources)) for one in points),
        )

    def objects(self, before: int = 0) -> dict[str, list[dict[str, Any]]]:
        """``boxes`` and ``points`` for programs, those there are. The first ``before`` media are not counted."""
        found = {
            "boxes": [{"label": one.label, "box": list(one.box)} | where(one, before) for one in self.boxes],
            "points": [{"label": one.label, "point": list(one.point)} | where(one, before) for one in self.points],
        }
        return {name: objects for name, objects in found.items() if objects}


def where(one: Box | Point, before: int) -> dict[str, Any]:
    """Which medium a box or point is in; its number is null among media that are not counted."""
    number = one.media - before
    found: dict[str, Any] = {"media": number if number >= 0 else None, "source": brief(one.source)}
    for name in ("time", "score"):
        if (value := getattr(one, name)) is not None:
            found[name] = value
    return found


def brief(source: str) -> str:
    """A source, but of the medium itself as a data URL or in base64 the beginning alone."""
    inline = source[:5].lower() == "data:" or (len(source) > LONGEST and "." not in source)
    return f"{source[:40]}…" if inline and len(source) > 40 else source


def named(one: Mapping[str, Any], sources: Sequence[str]) -> dict[str, Any]:
    """What an object says of a box or point beside its place."""
    source = sources[one["media"]] if one["media"] < len(sources) else one["source"]
    rest = {name: one.get(name) for name in ("time", "score")}
    return {"label": one["label"], "media": one["media"], "source": source, **rest}
