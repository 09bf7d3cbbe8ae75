"""Boxes and points that an answer writes between tags, or as tokens for places.

* ``<ref>cat</ref><box>10 20 300 400</box>``, ``<point>…</point>``, ``<quad>…</quad>``: MiniCPM, InternVL (whose numbers
  stand in brackets), and the same as ``<|object_ref_start|>…<|box_start|>(10,20),(300,400)<|box_end|>`` (Qwen2-VL) and
  ``<|ref|>…<|/ref|><|det|>[[…]]<|/det|>`` (DeepSeek).
* ``<point x="12.5" y="40" alt="cat">`` and ``<points x1=… y1=… x2=…>``: Molmo, in hundredths of the image; Qwen2.5-VL
  writes the same tags with its own numbers.
* ``<points coords="1 1 073 160 2 173 600">cat</points>`` and ``<tracks …>``: Molmo 2: the image or the time, then the
  number, x and y of each point, in thousandths; ``;`` before the next image or time.
* ``<loc0123><loc0045><loc0800><loc0900> cat ; …``: PaliGemma: y and x of two corners, in 1024 steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .json_answers import LARGEST, NUMBER
from .values import ParsedRegion

HUNDREDTHS, THOUSANDTHS, LOCATIONS = 100.0, 1000.0, 1024.0

LABEL = r"(?:<ref>|<\|object_ref_start\|>|<\|ref\|>)(?P<label>[^<]{0,500})(?:</ref>|<\|object_ref_end\|>|<\|/ref\|>)"
BEGIN = r"(?:<(?:box|point|quad)>|<\|(?:box|point|quad)_start\|>|<\|det\|>)"
END = r"(?:</(?:box|point|quad)>|<\|(?:box|point|quad)_end\|>|<\|/det\|>)"
SHAPE = re.compile(rf"(?:{LABEL}\s*)?(?P<all>(?:{BEGIN}[^<>]{{0,4000}}{END}[\s,;]*)+)")
INSIDE = re.compile(rf"{BEGIN}(?P<numbers>[^<>]*)<")
ATTRIBUTES = re.compile(
    r"<(?:points?|tracks)\s(?P<given>[^<>]{0,100000})>(?:(?P<text>[^<]{0,500})</(?:points?|tracks)>)?"
)
ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'/]+))")
LOCATION = re.compile(r"(?P<places>(?:<loc\d{4}>){2,4})(?:<seg\d{3}>)*[ \t]*(?P<label>[^<;\n]{0,500})")


def tag_regions(text: str) -> Iterator[ParsedRegion]:
    """The marks in the tags of a text."""
    for shape in SHAPE.finditer(text):
        label = " ".join((shape["label"] or "").split())
        for inside in INSIDE.finditer(shape["all"]):
            found = [value for one in NUMBER.findall(inside["numbers"]) if (value := float(one)) < LARGEST]
            yield from (
                ParsedRegion(shape.start(), numbers, label) for numbers in groups(found, quad="quad" in inside[0])
            )
    for tag in ATTRIBUTES.finditer(text):
        yield from attribute_regions(tag)
    for location in LOCATION.finditer(text):
        places = tuple(float(one) for one in re.findall(r"\d{4}", location["places"]))
        if len(places) in (2, 4):
            yield ParsedRegion(location.start(), places, location["label"].strip(), span=LOCATIONS, y_first=True)


def groups(found: list[float], *, quad: bool) -> Iterator[tuple[float, ...]]:
    """Numbers in fours; two alone are a point, and the eight of a quadrangle become the box around it."""
    if len(found) == 2:
        yield tuple(found)
    elif quad and found and len(found) % 8 == 0:
        for start in range(0, len(found), 8):
            xs, ys = found[start : start + 8 : 2], found[start + 1 : start + 8 : 2]
            yield min(xs), min(ys), max(xs), max(ys)
    elif len(found) % 4 == 0:
        yield from (tuple(found[start : start + 4]) for start in range(0, len(found), 4))


def attribute_regions(tag: re.Match[str]) -> Iterator[ParsedRegion]:
    """The points of one tag with attributes."""
    given = {name: first or second or third for name, first, second, third in ATTRIBUTE.findall(tag["given"])}
    label = " ".join((given.get("alt") or tag["text"] or "").split())
    if (coords := given.get("coords")) is not None:
        yield from coords_regions(coords, label, tag.start())
        return
    for suffix in ["", *(str(number) for number in range(1, len(given) + 1))]:
        pair = [NUMBER.fullmatch(given.get(axis + suffix, "").strip().rstrip("%")) for axis in "xy"]
        if all(pair):
            x, y = (float(one[0]) for one in pair if one)
            if max(x, y) < LARGEST:
                yield ParsedRegion(tag.start(), (x, y), label, span=HUNDREDTHS, y_first=False)


def coords_regions(coords: str, label: str, at: int) -> Iterator[ParsedRegion]:
    """The points of Molmo 2: an image's number or a time, then a number, x and y for each point."""
    for group in re.split(r"[;\t]", coords):
        first, *rest = [float(one) for one in NUMBER.findall(group)] or [0.0]
        for start in range(0, len(rest) - 2, 3):
            _, x, y = rest[start : start + 3]
            yield ParsedRegion(at, (x, y), label, group=first, span=THOUSANDTHS, y_first=False)
