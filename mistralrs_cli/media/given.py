"""Media that a program holds already: pictures, samples and frames as they are, without a file around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import MediaDecodeError, MediaNotFound
from ..messages import Media, MediaOptions, Modality
from .audio import Sound
from .image import Picture, flat
from .kinds import kind_of, kind_of_file
from .video import Clip

SHAPES = "samples [samples] or [samples, channels] with their rate, or frames uint8 [frames, height, width, 3]"


def given(value: object, kind: Modality | None = None, *, rate: float | None = None, place: str = "") -> Media:
    """A medium from a Python value: a PIL image, ``bytes``, a ``Path``, samples with their rate, or frames.

    ``rate`` is samples a second of a sound, frames a second of a clip; ``(samples, rate)`` says it as well. ``kind``
    is what the value is said to be; without it the value itself tells. Sounds may have any rate: ``decode`` resamples.

    Raises ``MediaDecodeError`` for a value that is none of these, and ``MediaNotFound`` for a missing file.
    """
    import numpy as np
    from PIL import Image

    match value:
        case Image.Image():
            name = value.format or "image"
            return Media("image", name, Picture(flat(value), value.width, value.height, name), place=place)
        case bytes() | bytearray() | memoryview():
            data = bytes(value)
            return Media(known(kind or kind_of(data), place), f"{len(data):,} bytes", data, place=place)
        case Path():
            return from_path(value, kind, place)
        case (samples, hertz) if isinstance(hertz, (int, float)):
            return given(samples, kind, rate=hertz, place=place)
    if isinstance(value, (list, tuple)) and value and all(isinstance(frame, Image.Image) for frame in value):
        value = np.stack([np.asarray(flat(frame)) for frame in value])
    if hasattr(value, "detach"):  # a torch tensor
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.ndim == 4 and array.shape[-1] == 3 and array.dtype == np.uint8:
        return Media("video", f"{len(array)} frames", clip(array, rate), place=place)
    if array.ndim == 3 and array.shape[-1] in (3, 4) and array.dtype == np.uint8:
        return given(Image.fromarray(array), "image", place=place)
    if array.ndim in (1, 2) and array.size and (array.dtype.kind == "f" or array.dtype == np.int16):
        if rate is None:
            raise MediaDecodeError(f"{where(place)}samples came without their rate.", "Give (samples, rate).")
        return Media("audio", "samples", sound(array, int(rate), place), place=place)
    raise MediaDecodeError(
        f"{where(place)}a {type(value).__name__} is no medium.", f"Give a PIL image, bytes, a Path, {SHAPES}."
    )


def sound(samples: Any, rate: int, place: str) -> Sound:
    """Samples as a mono sound; the shorter of two axes is the channels, whichever comes first."""
    import numpy as np

    scaled = samples.astype(np.float32) / (32768 if samples.dtype == np.int16 else 1)
    mono = scaled if scaled.ndim == 1 else scaled.mean(axis=int(np.argmin(scaled.shape)), dtype=np.float32)
    if not np.isfinite(mono).all() or rate < 1:
        raise MediaDecodeError(f"{where(place)}the samples, or their rate, are not numbers.", "Check the recording.")
    return Sound(mono.clip(-1.0, 1.0), rate)


def clip(frames: Any, rate: float | None) -> Clip:
    """Frames as a clip of their own, one a second unless their rate is told."""
    fps = float(rate or 1.0)
    count, height, width, _ = frames.shape
    times = tuple(number / fps for number in range(count))
    return Clip(frames, tuple(range(count)), fps, count, width, height, times)


def from_path(path: Path, kind: Modality | None, place: str) -> Media:
    """A file; where nobody says what it holds, its bytes do."""
    if kind is None:
        try:
            kind = kind_of_file(path.expanduser())
        except OSError as error:
            raise MediaNotFound(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    return Media(known(kind, place), str(path), options=MediaOptions(), place=place)


def known(kind: Modality | None, place: str) -> Modality:
    """The kind, if there is one."""
    if kind is None:
        raise MediaDecodeError(f"{where(place)}the bytes are neither a picture nor a sound nor a clip.")
    return kind


def where(place: str) -> str:
    """The beginning of a message about something at a place."""
    return f"{place}: " if place else ""
