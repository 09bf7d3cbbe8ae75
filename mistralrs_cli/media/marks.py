"""How a box, a point and its label look: seen on light and dark images, and readable at any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..grounding import Box, Point

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

COLOURS = ("#e6194b", "#ffe119", "#3cb44b", "#4363d8", "#f58231", "#42d4f4", "#911eb4", "#bfef45", "#f032e6", "#469990")
"""One for each label, so that labels can be distinguished; names in the order of the answer."""

SMALLEST = 480
"""Pixels that the longer edge of a drawing has at least: a smaller image is enlarged, or its labels would cover it."""

FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "arial.ttf"),
    *("PingFang.ttc", "msyh.ttc", "YuGothM.ttc", "malgun.ttf", "NotoSansArabic-Regular.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
)
"""Fonts of the system that are tried for letters that Pillow's own font lacks."""

NOWHERE = "\U0010fffd"  # a letter that no font has


def mark(image: Image, marks: Sequence[Box | Point], scale: tuple[float, float]) -> tuple[Image, dict[int, str]]:
    """The image with its marks, and the labels whose letters no font here has: they are numbers in it.

    ``scale`` is how many pixels of the image one of its original is, across and down.
    """
    from PIL import ImageDraw
    from PIL.Image import Resampling

    larger = max(1, -(-SMALLEST // max(image.size)))
    if larger > 1:
        image = image.resize((image.width * larger, image.height * larger), Resampling.NEAREST)
    else:
        image = image.copy()
    draw = ImageDraw.Draw(image)
    across, down = scale[0] * larger, scale[1] * larger
    edge = min(max(image.size) // 2, min(image.size) * 2)
    thick, size = max(2, round(edge / 200)), max(14, round(edge / 24))
    names = list(dict.fromkeys(one.label for one in marks))
    numbered: dict[int, str] = {}
    labels: list[tuple[tuple[int, int, int, int], str, str]] = []
    for count, one in enumerate(marks, start=1):
        colour = COLOURS[names.index(one.label) % len(COLOURS)]
        if isinstance(one, Box):
            left, top, right, bottom = one.box
            place = round(left * across), round(top * down), round(right * across), round(bottom * down)
            outline(draw, place, colour, thick)
        else:
            x, y = round((one.point[0] + 0.5) * across), round((one.point[1] + 0.5) * down)
            radius = max(6, 3 * thick)
            place = x - radius, y - radius, x + radius, y + radius
            draw.ellipse(place, fill=colour, outline="black", width=max(1, thick // 2))
        text = one.label
        if text and font_for(text, size) is None:
            numbered[count] = text
            text = str(count)
        if text:
            labels.append((place, text, colour))
    taken: list[tuple[int, int, int, int]] = []
    for place, text, colour in labels:
        taken.append(write_label(draw, image.size, place, text, colour, size, taken))
    return image, numbered


def outline(draw: ImageDraw, place: tuple[int, int, int, int], colour: str, thick: int) -> None:
    """A frame in a colour between two black lines, which is seen on any ground."""
    left, top, right, bottom = place
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    draw.rectangle((left, top, right - 1, bottom - 1), outline="black", width=thick + 2)
    inset = 1 if min(right - left, bottom - top) > 2 * thick + 4 else 0
    draw.rectangle((left + inset, top + inset, right - 1 - inset, bottom - 1 - inset), outline=colour, width=thick)


def write_label(
    draw: ImageDraw,
    size: tuple[int, int],
    place: tuple[int, int, int, int],
    text: str,
    colour: str,
    letters: int,
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int]:
    """Write a label beside its mark, wholly inside the image, where none is yet if there is such a place."""
    from PIL import ImageColor

    font = font_for(text, letters)
    pad = max(3, letters // 5)
    text = fitted(draw, text, font, size[0] - 2 * pad)
    ascent, descent = font.getmetrics()
    box = draw.textbbox((0, 0), text, font=font)
    width, height = int(box[2] - box[0]) + 2 * pad, ascent + descent
    left, top, right, bottom = place
    rows, columns = (top - height, bottom, top, bottom - height), (left, right, left - width)
    lowest, farthest = max(0, size[1] - height), max(0, size[0] - width)
    spots = [(min(max(0, x), farthest), y) for x in columns for y in rows if 0 <= y <= lowest] or [(0, 0)]
    free = [
        spot for spot in spots if not any(overlap((*spot, spot[0] + width, spot[1] + height), one) for one in taken)
    ]
    x, y = (free or spots)[0]
    red, green, blue = ImageColor.getrgb(colour)[:3]
    ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    draw.text((x + pad - box[0], y), text, fill=ink, font=font)
    return x, y, x + width, y + height


def overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether two rectangles have a pixel in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def fitted(draw: ImageDraw, text: str, font: Any, width: int) -> str:
    """A text, its end cut where it is wider than the image."""
    while len(text) > 1 and draw.textlength(text, font=font) > width:
        text = text[: -2 if text.endswith("…") else -1].rstrip() + "…"
    return text


def font_for(text: str, size: int) -> Any:
    """A font with all letters of a text: Pillow's own, else one of the system's. ``None`` where there is none."""
    from PIL import ImageFont

    own = ImageFont.load_default(size)
    if has_all(own, text):
        return own
    for name in FONTS:
        try:
            font = ImageFont.truetype(name, size)
        except OSError:
            continue
        if has_all(font, text):
            return font
    return None


def has_all(font: Any, text: str) -> bool:
    """Whether a font has every letter; for one it lacks it draws the same box as for any other."""
    nothing = shape(font, NOWHERE)
    return all(letter.isspace() or shape(font, letter) != nothing for letter in set(text))


def shape(font: Any, letter: str) -> tuple[Any, bytes]:
    """The pixels of a letter."""
    pixels = font.getmask(letter)
    return pixels.size, bytes(pixels)
