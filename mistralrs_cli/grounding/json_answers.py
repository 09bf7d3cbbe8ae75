"""Boxes and points that an answer writes as JSON, in a Markdown fence or without one, whole or cut."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .mentions import image_number
from .values import ParsedRegion

BOXES = ("bbox_2d", "box_2d", "bbox", "box", "bounding_box", "boundingbox", "bboxes", "boxes", "bounding_boxes")
POINTS = ("point_2d", "point", "points", "points_2d", "coordinate", "coordinates", "keypoint", "keypoints")
LABELS = ("label", "name", "object", "class", "category", "text_content", "text", "caption", "description")
IMAGES = ("image", "image_index", "image_id", "image_number", "img_idx", "page")
TIMES = ("time", "timestamp", "time_seconds", "frame_time", "seconds")
SCORES = ("score", "confidence")
CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("left", "top", "right", "bottom"),
)
"""Names of a box's edges, which say the order by themselves."""

LARGEST = 1e7
"""A number beyond it is no coordinate."""

OPENING = re.compile(r"[\[{]")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def json_regions(text: str) -> Iterator[ParsedRegion]:
    """The marks in the JSON values of a text. Of a value that is cut, what is whole inside it counts."""
    decoder = json.JSONDecoder()
    at = 0
    while (opening := OPENING.search(text, at)) is not None:
        start = opening.start()
        try:
            value, at = decoder.raw_decode(text, start)
        except RecursionError:  # nothing that nests so deep is an answer, and to try again at every bracket takes long
            return
        except ValueError:
            at = start + 1
            continue
        yield from (replace(mark, at=start) for mark in regions_in(value, ParsedRegion(start, ())))


def regions_in(value: Any, around: ParsedRegion, depth: int = 0) -> Iterator[ParsedRegion]:
    """The marks in one value. ``around`` has the label, the image and the time that stand around it."""
    if depth > 20:
        return
    if isinstance(value, list):
        for item in value:
            yield from regions_in(item, around, depth + 1)
        return
    if not isinstance(value, Mapping):
        return
    named = {str(key).lower(): inner for key, inner in value.items()}
    here = described(named, around)
    edges = corners(named)
    if edges is not None:
        yield replace(here, numbers=edges, y_first=False)
        return
    for key, inner in value.items():
        name = str(key).lower()
        if name in BOXES and (boxes := list(shapes(inner, 4, here))):
            yield from boxes
        elif name in POINTS and (points := list(shapes(inner, 2, here))):
            yield from points
        else:
            number = image_number(str(key))
            yield from regions_in(inner, here if number is None else replace(here, image=number), depth + 1)


def described(named: Mapping[str, Any], around: ParsedRegion) -> ParsedRegion:
    """What an object says beside its coordinates."""
    label = next((one for name in LABELS if isinstance(one := named.get(name), str) and one.strip()), around.label)
    image, time, score = (
        next((one for name in names if (one := number(named.get(name))) is not None), None)
        for names in (IMAGES, TIMES, SCORES)
    )
    return replace(
        around,
        label=" ".join(label.split()),
        image=around.image if image is None else int(image),
        time=around.time if time is None else time,
        score=score,
    )


def shapes(value: Any, count: int, here: ParsedRegion) -> Iterator[ParsedRegion]:
    """One or several lists of so many numbers, objects with named edges, or corner points of a box."""
    if isinstance(value, str):
        value = [float(found) for found in NUMBER.findall(value)]
    if isinstance(value, Mapping):
        named = {str(key).lower(): inner for key, inner in value.items()}
        here = described(named, here)
        edges = corners(named) if count == 4 else numbers([named.get("x"), named.get("y")])
        if edges is not None:
            yield replace(here, numbers=edges, y_first=False)
        return
    if not isinstance(value, list):
        return
    flat = numbers(value)
    if flat is not None and len(flat) == count:
        yield replace(here, numbers=flat)
        return
    if count == 4 and len(value) == 2 and all(isinstance(corner, list) and len(corner) == 2 for corner in value):
        if (flat := numbers([*value[0], *value[1]])) is not None:
            yield replace(here, numbers=flat)
        return
    for item in value:
        if isinstance(item, list | Mapping):
            yield from shapes(item, count, here)


def corners(named: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The edges of a box that are named one by one."""
    for names in CORNERS:
        if all(name in named for name in names):
            return numbers([named[name] for name in names])
    return None


def numbers(values: list[Any]) -> tuple[float, ...] | None:
    """A list of coordinates, if it is one."""
    found = [number(value) for value in values]
    return None if None in found or not found else tuple(one for one in found if one is not None)


def number(value: Any) -> float | None:
    """A finite number that may be a coordinate, an index or a time; also one that stands in a text alone."""
    if isinstance(value, str) and (match := NUMBER.match(value.strip("<> "))):
        value = float(match[0])
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or abs(value) > LARGEST
        or not math.isfinite(value)
    ):
        return None
    return float(value)
