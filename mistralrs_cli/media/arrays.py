"""Arrays that a program holds as pixels, samples and frames: which axis is which, and what the numbers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..decoded import DecodedAudio
from ..errors import MediaDecodeError
from ..messages import Modality

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHANNELS = (1, 2, 3, 4)  # grey, grey and alpha, RGB, RGBA
FIRST = (1, 3, 4)
MOST_CHANNELS = 32  # more tracks than any recording has: an image or a spectrogram
OVERSHOOT = 0.1  # resizing floats by a cubic kernel leaves their range by about this much
LEAST_OF_255 = 2.0  # a float above this cannot be meant on a scale from 0 to 1
LOUDEST = 4.0  # floats above this are on another scale than -1..1, as in files (``media.audio``)
COUNTS = "with 1, 3 or 4 channels"
SHAPES: dict[Modality, str] = {
    "image": "a PIL image, or an array [height, width], [height, width, channels] or [channels, height, width] "
    + COUNTS,
    "audio": "or (samples, rate), where samples are [samples], [samples, channels] or [channels, samples]",
    "video": "a list of images, or an array [frames, height, width, channels] or "
    f"[frames, channels, height, width] {COUNTS}",
}


def as_array(value: Any, kind: Modality | None = None, place: str = "") -> NDArray[Any]:
    """A NumPy array of anything that can be one: arrays, tensors of torch on any device, lists of numbers."""
    import numpy as np

    if callable(getattr(value, "detach", None)) and hasattr(value, "cpu"):  # a tensor of torch
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has no such type
            value = value.float()
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # lists of unequal lengths; sparse tensors
        raise unusable(value, kind, place) from error


def unusable(value: object, kind: Modality | None = None, place: str = "") -> MediaDecodeError:
    """The error for a value that is no medium, with its shape where it has one."""
    name = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and hasattr(value, "dtype"):
        name += f" of shape {tuple(int(size) for size in shape)} and type {value.dtype}"
    article = "an" if name[0].lower() in "aeiou" or name.startswith("nd") else "a"
    wanted = {None: "an image, audio or video", "image": "an image", "audio": "audio", "video": "a video"}[kind]
    shapes = SHAPES[kind] if kind else "a PIL image, or an array"
    return MediaDecodeError(
        f"{where(place)}Cannot use {article} {name} as {wanted}.", f"Give bytes, a Path, an open file, {shapes}."
    )


def pixels(array: NDArray[Any], value: object, place: str = "") -> NDArray[np.uint8]:
    """An array of one image as ``uint8 [height, width]`` or ``[height, width, channels]``; channels may come first.

    ``value`` is what it was made of. Raises ``MediaDecodeError`` for other shapes, and for numbers of unknown scale.
    """
    found = array
    while found.ndim > 3 and found.shape[0] == 1:
        found = found[0]
    if found.ndim == 3 and found.shape[-1] not in CHANNELS and found.shape[0] in FIRST:
        found = found.transpose(1, 2, 0)
    if found.ndim not in (2, 3) or not found.size or (found.ndim == 3 and found.shape[-1] not in CHANNELS):
        raise unusable(value, "image", place)
    return eight_bits(found[..., 0] if found.shape[2:] == (1,) else found, "image", place)


def frames(array: NDArray[Any], value: object, place: str = "") -> NDArray[np.uint8]:
    """An array of a video as ``uint8 [frames, height, width]`` or ``[frames, height, width, channels]``."""
    found = array
    while found.ndim > 4 and found.shape[0] == 1:
        found = found[0]
    if found.ndim == 4 and found.shape[-1] not in CHANNELS and found.shape[1] in FIRST:
        found = found.transpose(0, 2, 3, 1)
    if found.ndim not in (3, 4) or not found.size or (found.ndim == 4 and found.shape[-1] not in CHANNELS):
        raise unusable(value, "video", place)
    return eight_bits(found[..., 0] if found.shape[3:] == (1,) else found, "video", place)


def eight_bits(array: NDArray[Any], kind: Modality, place: str) -> NDArray[np.uint8]:
    """Brightness as ``uint8``.

    ``uint8`` as it is, ``bool`` black and white, ``uint16`` over its whole range, other whole numbers from 0 to 255,
    floats from 0 to 1, or from 0 to 255 where one is above 2. Anything else could mean several things and is refused.
    """
    import numpy as np

    sort, low, high = array.dtype.kind, 0.0, 0.0
    if sort in "iuf":
        low, high = float(array.min()), float(array.max())
        if not np.isfinite([low, high]).all():
            raise MediaDecodeError(f"{where(place)}The {kind} holds values that are not numbers.", "Replace its NaN.")
    if array.dtype == np.uint8:
        return array
    if sort == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return (array / np.float32(257)).round().astype(np.uint8)
    if sort in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    if sort == "f" and low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return (array.astype(np.float32) * 255).round().clip(0, 255).astype(np.uint8)
    if sort == "f" and low >= 0 and LEAST_OF_255 < high <= 255:
        return array.astype(np.float32).round().astype(np.uint8)
    if sort not in "iuf":
        raise unusable(array, kind, place)
    raise MediaDecodeError(
        f"{where(place)}The {kind} holds {array.dtype} values from {low:g} to {high:g}, which may mean several things.",
        "Give uint8 (0 to 255), uint16 (0 to 65535) or floats from 0 to 1.",
    )


def audio(array: NDArray[Any], value: object, rate: object, place: str = "") -> DecodedAudio:
    """Samples as mono audio at ``rate`` a second; the shorter of two axes is the channels, whichever comes first.

    ``int8``, ``int16`` and ``int32`` are signed, ``uint8`` and ``uint16`` have their silence in the middle, floats
    are from -1 to 1; those far above are divided by their peak.

    Raises ``MediaDecodeError`` for other shapes and types, and for a rate that is none.
    """
    import numpy as np

    samples = array
    while samples.ndim > 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim not in (1, 2) or not samples.size or (samples.ndim == 2 and min(samples.shape) > MOST_CHANNELS):
        raise unusable(value, "audio", place)
    if rate is None:
        raise MediaDecodeError(f"{where(place)}Samples came without their rate.", "Give (samples, rate).")
    hertz = a_rate(rate, "samples", place)
    if hertz < 1:
        raise MediaDecodeError(f"{where(place)}{hertz:g} samples a second are too few.", "Give (samples, rate).")
    if samples.dtype in (np.int8, np.int16, np.int32, np.uint8, np.uint16):
        half = 2.0 ** (8 * samples.dtype.itemsize - 1)
        scaled = (samples.astype(np.float64) - (half if samples.dtype.kind == "u" else 0.0)) / half
    elif samples.dtype.kind == "f":
        scaled = samples.astype(np.float64)
    else:
        raise MediaDecodeError(
            f"{where(place)}The scale of {samples.dtype} samples is not known.", "Give int16, int32 or floats."
        )
    mono = scaled if scaled.ndim == 1 else scaled.mean(axis=int(np.argmin(scaled.shape)))
    if not np.isfinite(mono).all():
        raise MediaDecodeError(f"{where(place)}The audio holds samples that are not numbers.", "Check the recording.")
    peak = float(np.abs(mono).max())
    return DecodedAudio((mono / peak if peak > LOUDEST else mono).astype(np.float32).clip(-1.0, 1.0), round(hertz))


def a_rate(value: object, of: str, place: str) -> float:
    """A number above 0, also as a NumPy scalar or an array without axes."""
    import numpy as np

    try:
        rate = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        rate = 0.0
    if not np.isfinite(rate) or rate <= 0 or isinstance(value, (bool, str)):
        raise MediaDecodeError(f"{where(place)}{value!r:.40} is not a rate of {of} a second.", "Give a number above 0.")
    return rate


def where(place: str) -> str:
    """The beginning of a message about something at a place."""
    return f"{place}: " if place else ""
