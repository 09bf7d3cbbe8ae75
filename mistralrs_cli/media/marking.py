"""Boxes and points drawn into the images that they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..decoded import DecodedImage, DecodedVideo
from ..errors import GenerationError, MediaError, MistralrsError, OptionError, reason
from ..grounding import Box, Found, Medium, Point
from ..messages import DecodedMedia, MediaBytes, MediaFile, MediaOptions
from ..options import MediaPolicy
from .labels import label
from .suffixes import suffix_of

if TYPE_CHECKING:
    from PIL.Image import Image

Original = MediaBytes | MediaFile | DecodedMedia
FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF", "tiff": "TIFF"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A file that was written, with what is marked in it, and the labels that could only be numbered."""

    path: Path
    marks: Sequence[Box | Point]
    numbered: Mapping[int, str]


def check_target(path: Path, media: Sequence[str] = ()) -> None:
    """Raise ``OptionError`` for a place where no image can be written, before anything is asked.

    ``media`` are the sources of the question: none of them is overwritten.
    """
    if suffix_of(path.name) not in FORMATS:
        raise OptionError(f"{path} names no image format to write.", f"For example: {path.with_suffix('.png')}")
    if path.is_dir() or not path.parent.is_dir():
        what = f"{path} is a folder." if path.is_dir() else f"There is no folder {path.parent}."
        raise OptionError(what, "Name a file in a folder that is there.")
    for source in media:
        given = Path(source.partition("#page=")[0])
        try:
            same = path.exists() and given.exists() and path.samefile(given)
        except (OSError, ValueError):  # an address or a data URL, which is no path
            continue
        if same:
            raise OptionError(f"{path} is the image that is asked about.", "Name another file for the drawing.")


def draw(
    found: Found, media: Sequence[Medium], originals: Mapping[int, Original], path: Path, policy: MediaPolicy
) -> list[Drawn]:
    """Write the marked images, and return what was written. ``media`` are those of the prompt, and ``originals`` the
    images and videos that were asked about, by their numbers among them.

    Of one image the drawing is ``path``. Of several it is ``out-2.png`` for the second one that was asked about, of a
    video ``out-1.5s.png`` for the frame at 1.5 seconds, the nearest that the model was given. What has no mark gets no
    file.

    Raises ``GenerationError`` where nothing is marked, ``MediaError`` for an original that cannot be read any more, and
    ``MistralrsError`` for a file that cannot be written.
    """
    from .marks import mark

    marks: dict[tuple[int, float | None], list[Box | Point]] = {}
    each_one: tuple[Box | Point, ...] = (*found.boxes, *found.points)
    for one in each_one:
        original = originals.get(one.media)
        if original is not None and (original.kind == "image" or one.time is not None):
            space = media[one.media].space
            time = one.time if original.kind == "video" else None
            if time is not None and space is not None and space.times:
                time = min(space.times, key=lambda each, asked=time: abs(each - asked))  # type: ignore[misc]
            marks.setdefault((one.media, time), []).append(one)
    if not marks and not found and found.left_out:
        raise GenerationError(
            f"No box or point of the answer could be placed, so {path} is not drawn.",
            "docs/boxes.md lists the models whose numbers are known.",
        )
    if not marks:
        timeless = " with a time" if found else ""
        raise GenerationError(
            f"The answer marks no box and no point{timeless}, so {path} is not drawn.",
            "Ask for them: “Locate every cat. Answer in JSON with a box and a label for each.”",
        )
    drawn = []
    for (number, time), each in sorted(marks.items(), key=lambda item: (item[0][0], item[0][1] or 0.0)):
        image, (width, height) = pixels(originals[number], time, policy)
        image, numbered = mark(image, each, (image.width / width, image.height / height))
        place = sorted(originals).index(number) + 1 if len(originals) > 1 else None
        target = named(path, place, time)
        write(image, target)
        drawn.append(Drawn(target, each, numbered))
    return drawn


def remarks(drawn: Sequence[Drawn]) -> list[str]:
    """What a user should know of the drawings: where they are, and which labels are not in them."""
    lines = []
    for each in drawn:
        boxes = sum(isinstance(one, Box) for one in each.marks)
        points = len(each.marks) - boxes
        counts = (f"{boxes} box{'' if boxes == 1 else 'es'}", f"{points} point{'' if points == 1 else 's'}")
        what = " and ".join(words for words in counts if not words.startswith("0"))
        lines.append(f"{what} drawn into {each.path}")
        for number, text in each.numbered.items():
            lines.append(f"no font here has the letters of “{text}”, which is number {number} there")
    return lines


def named(path: Path, place: int | None, time: float | None) -> Path:
    """The file of one drawing among several."""
    parts = [path.stem, *([str(place)] if place is not None else []), *([f"{time:g}s"] if time is not None else [])]
    return path.with_name("-".join(parts) + path.suffix)


def pixels(original: Original, time: float | None, policy: MediaPolicy) -> tuple[Image, tuple[int, int]]:
    """An image, or the frame of a video at a time, and the width and height of its upright original."""
    from PIL import Image as images

    from . import decode

    if isinstance(original, DecodedMedia):
        data = original.data
    else:
        options = replace(original.options, max_edge=None)
        if time is not None:
            options = MediaOptions(frames=1, start=max(0.0, time))
        data = decode(replace(original, options=options), policy).data
    if isinstance(data, DecodedImage):
        return data.image.convert("RGB"), (data.width, data.height)
    if not isinstance(data, DecodedVideo):
        raise MediaError(f"{label(original.source)} is no image.")
    index = min(range(len(data.times)), key=lambda each: abs(data.times[each] - (time or 0.0))) if data.times else 0
    return images.fromarray(data.frames[index]), (data.width, data.height)


def write(image: Image, path: Path) -> None:
    """Write an image by its name's suffix, whole or not at all."""
    file = BytesIO()
    try:
        image.save(file, FORMATS[suffix_of(path.name)])
        beside = path.with_name(f".{path.name}.part")
        beside.write_bytes(file.getvalue())
        beside.replace(path)
    except (OSError, ValueError) as error:
        raise MistralrsError(f"{path} cannot be written: {reason(error)}.", "Name another place.") from error
