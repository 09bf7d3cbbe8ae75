"""Media that a program holds already: images, samples and frames as they are, without a file around them."""

from __future__ import annotations

import inspect
import io
import numbers
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..decoded import DecodedImage, DecodedVideo
from ..errors import MediaDecodeError, MediaNotFound
from ..messages import DecodedMedia, Media, MediaBytes, MediaOptions, MediaRef, Modality
from ..options import MediaPolicy
from .arrays import a_rate, as_array, audio, frames, pixels, unusable, where
from .colours import to_srgb
from .flat import flat
from .image import decode_image, orientation_of, shrunk_to, turned
from .kinds import kind_of, kind_of_file

if TYPE_CHECKING:
    from PIL import Image

WHOLE = MediaOptions()
_loading = threading.Lock()  # threads may share an image that Pillow has not read yet


def from_python(
    value: Any,
    kind: Modality | None = None,
    *,
    rate: object = None,
    options: MediaOptions = WHOLE,
    place: str = "",
) -> Media:
    """A medium from a Python value: a PIL image, ``bytes``, a path, an open file, an array, samples, or frames.

    ``kind`` is what the value is said to be; without it the value itself tells. ``rate`` is samples a second of
    audio, frames a second of a video; ``(samples, rate)`` says it as well. Audio may have any rate: ``decode``
    resamples. ``options`` say how encoded media are read; ``max_edge`` counts for every image.

    Raises ``MediaDecodeError`` for a value that is none of these, and ``MediaNotFound`` for a missing file.
    """
    from PIL import Image

    match value:
        case Image.Image() if kind == "video":
            return as_video(all_frames(value, place), frame_rate(value) if rate is None else rate, place)
        case Image.Image():
            if kind == "audio":
                raise MediaDecodeError(f"{where(place)}An image is not audio.", 'Give it as {"type": "image", …}.')
            return as_image(upright(value, place), value.format or "image", options, place)
        case bytes() | bytearray() | memoryview():
            return encoded(bytes(value), f"{len(bytes(value)):,} bytes", kind, options, place)
        case os.PathLike():
            return from_path(Path(os.fsdecode(value)), kind, options, place)
        case str() | None:
            raise unusable(value, kind, place)
        case (samples, per_second) if is_number(per_second) and not is_number(samples):
            return with_rate(samples, per_second, kind, options, place)
        case (per_second, samples) if is_number(per_second) and not is_number(samples):  # as scipy reads a WAV
            return with_rate(samples, per_second, kind, options, place)
    if callable(getattr(value, "read", None)):
        return encoded(contents(value, place), named(value), kind, options, place)
    if (
        isinstance(value, (list, tuple))
        and value
        and kind != "audio"
        and not is_number(value[0])
        and is_frame(value[0])
    ):
        if kind == "image":
            raise MediaDecodeError(f"{where(place)}A list is not one image.", "Give its images one by one.")
        return as_video([frame(each, f"{place}[{index}]") for index, each in enumerate(value)], rate, place)
    return from_array(as_array(value, kind, place), value, kind, rate, options, place)


def with_rate(value: Any, rate: object, kind: Modality | None, options: MediaOptions, place: str) -> Media:
    """A value that came with its rate: samples, or frames."""
    if kind == "image":
        raise MediaDecodeError(f"{where(place)}An image has no rate.", "Give the image alone.")
    several = isinstance(value, (list, tuple)) and value and not is_number(value[0]) and is_frame(value[0])
    found: Modality = "video" if several or getattr(value, "ndim", 0) == 4 else "audio"
    return from_python(value, kind or found, rate=rate, options=options, place=place)


def from_array(
    array: Any, value: object, kind: Modality | None, rate: object, options: MediaOptions, place: str
) -> Media:
    """An array by its kind, else by its axes: one is audio, two or three an image, four a video."""
    if kind is None:
        if array.ndim == 2 and rate is None and array.dtype.kind == "f" and min(array.shape, default=0) <= 2:
            raise MediaDecodeError(f"{where(place)}Samples came without their rate.", "Give (samples, rate).")
        kinds: dict[int, Modality] = {1: "audio", 2: "audio" if rate is not None else "image", 3: "image", 4: "video"}
        kind = kinds.get(array.ndim)
    if kind is None or array.dtype.kind not in "biuf" or not array.size or not array.ndim:
        raise unusable(value, kind, place)
    match kind:
        case "image":
            from PIL import Image

            return as_image(flat(Image.fromarray(pixels(array, value, place))), "image", options, place)
        case "audio":
            return DecodedMedia("audio", "samples", audio(array, value, rate, place), place=place)
        case "video":
            from PIL import Image

            found = frames(array, value, place)
            return as_video([flat(Image.fromarray(each)) for each in found], rate, place)


def as_image(image: Image.Image, name: str, options: MediaOptions, place: str) -> DecodedMedia:
    """An upright RGB image as a medium, shrunk to ``options.max_edge``."""
    shrunk = shrunk_to(image, options.max_edge)
    return DecodedMedia("image", name, DecodedImage(shrunk, image.width, image.height, name), place=place)


def upright(image: Image.Image, place: str) -> Image.Image:
    """The current frame of a PIL image as RGB on white, turned as its EXIF says: what its file would give."""
    try:
        with _loading:
            image.load()
        return turned(flat(to_srgb(image, b"")[0]), orientation_of(image))
    except Exception as error:  # Pillow raises nearly anything for a file that is closed, damaged or cut
        raise MediaDecodeError(
            f"{where(place)}The image cannot be read from its file, which is closed or damaged.",
            "Call load() on it while its file is open, or give its path.",
        ) from error


def all_frames(image: Image.Image, place: str) -> list[Image.Image]:
    """All frames of a PIL image; its own place in them is kept."""
    from PIL import ImageSequence

    if getattr(image, "n_frames", 1) == 1:
        return [upright(image, place)]
    before = image.tell()
    try:
        return [upright(each, place) for each in ImageSequence.Iterator(image)]
    finally:
        image.seek(before)


def frame_rate(image: Image.Image) -> float | None:
    """Frames a second of an animated PIL image, where it says."""
    pause = image.info.get("duration")
    return 1000 / pause if isinstance(pause, (int, float)) and pause > 0 else None


def is_file(value: object) -> bool:
    """Whether it holds encoded media: bytes, a path, an open file."""
    return isinstance(value, (bytes, bytearray, memoryview, os.PathLike)) or callable(getattr(value, "read", None))


def is_frame(value: object) -> bool:
    """Whether it can be one image of several that are a video."""
    from PIL import Image

    return isinstance(value, (Image.Image, bytes, os.PathLike)) or getattr(value, "ndim", 0) in (2, 3)


def frame(value: Any, place: str) -> Image.Image:
    """One of several images that are a video."""
    found = from_python(value, "image", place=place)
    if isinstance(found, MediaRef):
        found = encoded(read_whole(Path(found.source), place), found.source, "image", WHOLE, place)
    if isinstance(found, MediaBytes):
        return decode_image(found.data, found.source, WHOLE, MediaPolicy()).image
    assert isinstance(found.data, DecodedImage)
    return found.data.image


def as_video(images: Sequence[Image.Image], rate: object, place: str) -> DecodedMedia:
    """RGB images as a video: one a second unless ``rate`` is given."""
    import numpy as np

    sizes = sorted({image.size for image in images})
    if len(sizes) > 1:
        shown = " and ".join(f"{width}×{height}" for width, height in sizes[:2])
        raise MediaDecodeError(
            f"{where(place)}The frames of a video must be of one size; here are {shown}.", "Resize them first."
        )
    fps = 1.0 if rate is None else a_rate(rate, "frames", place)
    count, (width, height) = len(images), sizes[0]
    found = np.stack([np.asarray(image) for image in images])
    times = tuple(number / fps for number in range(count))
    return DecodedMedia(
        "video",
        f"{count} frames",
        DecodedVideo(found, tuple(range(count)), fps, count, width, height, times),
        place=place,
    )


def encoded(data: bytes, name: str, kind: Modality | None, options: MediaOptions, place: str) -> MediaBytes:
    """Encoded media; without a kind the bytes tell."""
    if not data:
        raise MediaDecodeError(f"{where(place)}{name} is empty (0 bytes).", "Give the whole file.")
    return MediaBytes(known(kind or kind_of(data), place), name, data, options=options, place=place)


def contents(file: Any, place: str) -> bytes:
    """What an open file holds from where it stands; one that stands at its end is read from its start.

    The file is left open and where it was, so that the same request can be sent again.
    """
    if isinstance(file, io.TextIOBase):
        raise MediaDecodeError(f"{where(place)}The file was opened as text.", 'Open it with open(path, "rb").')
    if inspect.iscoroutinefunction(file.read):
        raise MediaDecodeError(f"{where(place)}A {type(file).__name__} must be awaited.", "Give await file.read().")
    try:
        before = file.tell() if hasattr(file, "tell") and getattr(file, "seekable", lambda: True)() else None
        data = file.read()
        if before and not data:
            file.seek(0)
            data = file.read()
        if before is not None:
            file.seek(before)
    except (OSError, ValueError, AttributeError) as error:  # closed, or open for writing only
        raise MediaDecodeError(
            f"{where(place)}The file cannot be read: it is closed, or was not opened for reading.",
            'Open it with open(path, "rb").',
        ) from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise MediaDecodeError(
            f"{where(place)}Reading from a {type(file).__name__} gives a {type(data).__name__}, not bytes.",
            "Read it first, and give its bytes.",
        )
    if not data and before is None:
        raise MediaDecodeError(
            f"{where(place)}Nothing is left to read in the {type(file).__name__}, which cannot go back.",
            "Read it once, and give its bytes.",
        )
    return bytes(data)


def named(file: object) -> str:
    """The name of an open file, where it has one."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name else "The file"


def from_path(path: Path, kind: Modality | None, options: MediaOptions, place: str) -> MediaRef:
    """A file; without a kind its bytes tell."""
    if kind is None:
        try:
            kind = kind_of_file(path.expanduser())
        except OSError as error:
            raise unreadable(path, error, place) from error
    return MediaRef(known(kind, place), str(path), options=options, place=place)


def read_whole(path: Path, place: str) -> bytes:
    """The bytes of a file. Raises ``MediaNotFound``."""
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise unreadable(path, error, place) from error


def unreadable(path: Path, error: OSError, place: str) -> MediaNotFound:
    """The error for a file that cannot be read."""
    reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
    return MediaNotFound(f"{where(place)}{path} {reason}.", "Check the path.")


def known(kind: Modality | None, place: str) -> Modality:
    """The kind, if there is one."""
    if kind is None:
        raise MediaDecodeError(
            f"{where(place)}The bytes are neither an image nor audio nor video.",
            'Say what they are: {"type": "audio", "audio": …}.',
        )
    return kind


def is_number(value: object) -> bool:
    """Whether it is a number of Python's or NumPy's, or an array or tensor of one number without axes."""
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Real) or (getattr(value, "shape", None) == () and hasattr(value, "dtype"))


def separate(values: object, kind: Modality) -> Sequence[Any]:
    """Media beside a message as a list: one value is one medium, however many axes or items it has.

    An array with an axis more than one image has is several images; a list of frames is one video.
    """
    if values is None:
        return ()
    if kind == "image" and getattr(values, "ndim", 0) == 4:
        return list(values)  # type: ignore[call-overload, no-any-return]
    if (
        isinstance(values, (str, dict))
        or is_file(values)
        or hasattr(values, "dtype")
        or not isinstance(values, Iterable)
    ):
        return (values,)
    found = list(values)
    if found and (is_number(found[0]) or (len(found) == 2 and is_number(found[1]))):
        return (values,)  # samples, or something with its rate
    if kind == "video" and found and all(is_frame(each) and not is_file(each) for each in found):
        return (found,)
    return found
