"""Pictures: any format Pillow reads, as upright RGB."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from ..errors import MediaDecodeError, MediaTooLarge, MistralrsError
from ..messages import MediaOptions
from ..options import MediaPolicy
from . import still
from .formats import identify, refuse_other
from .labels import label

if TYPE_CHECKING:
    from PIL import Image

# Pillow would hand these to an outside program, or reads nothing of use to a model
_UNWANTED = ("EPS", "WMF", "FITS", "GRIB", "HDF5", "BUFR")
# a phone's JPEG with a second picture (depth, a preview) in it
_NAMES = {"MPO": "JPEG"}
_quiet = threading.RLock()


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: ``image`` is RGB and upright, perhaps shrunk; ``width`` and ``height`` are those of the
    original in pixels, upright; ``format`` is its format's name (``JPEG``). ``more`` says that it is the first of
    several in the file."""

    image: Image.Image
    width: int
    height: int
    format: str
    more: bool = False


def decode_image(data: bytes, source: str, options: MediaOptions, policy: MediaPolicy) -> Picture:
    """Decode a picture: EXIF orientation applied, transparency flattened on white, any mode turned into RGB.

    Of an animation, the first frame. ``options.max_edge`` shrinks the longer edge to that many pixels, keeping the
    aspect; it never enlarges.

    Raises:
        MediaDecodeError: not a picture, or damaged.
        MediaTooLarge: more pixels than ``policy.pixels``; seen before decoding.
    """
    refuse_other(data, source, "image")
    found = identify(data)
    if found is not None and found.name in still.FORMATS and not _pillow_reads(data):
        image = still.read_still(data, source, policy)
        return Picture(_shrunk(image, options.max_edge), image.width, image.height, found.name)
    with opened(data, source, policy) as image:
        width, height = image.size
        if options.max_edge is not None:
            _draft(image, options.max_edge)
        more = _has_more(image)
        image.load()
        orientation = _orientation(image)  # only now: a TIFF has turned itself upright while loading
        result = _upright(_shrunk(flat(image), options.max_edge), orientation)
        if orientation >= 5:
            width, height = height, width
        return Picture(result, width, height, _NAMES.get(image.format or "", image.format or "image"), more)


@contextmanager
def opened(data: bytes, source: str, policy: MediaPolicy) -> Iterator[Image.Image]:
    """The opened, not yet decoded image; what goes wrong inside the block becomes a ``MediaError``.

    Pillow's warnings (damaged metadata, its own size limit) are kept from the user's terminal meanwhile.
    """
    from PIL import Image, UnidentifiedImageError

    name = label(source)
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(BytesIO(data)) as image:
                if image.format in _UNWANTED:
                    raise MediaDecodeError(f"{name} is in the format {image.format}", "Convert it to PNG or JPEG.")
                if image.width * image.height > policy.pixels:
                    raise MediaTooLarge(
                        f"{name} has {image.width}×{image.height} pixels, more than the limit of {policy.pixels}",
                        "Shrink the picture first.",
                    )
                yield image
        except MistralrsError:
            raise
        except Image.DecompressionBombError as error:
            raise MediaTooLarge(f"{name} unpacks to more pixels than is safe", "Shrink the picture first.") from error
        except UnidentifiedImageError as error:
            raise _unreadable(data, name) from error
        except MemoryError as error:
            raise MediaTooLarge(f"{name} does not fit in memory", "Shrink the picture first.") from error
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged bytes
            raise MediaDecodeError(
                f"{name} is damaged: {_reason(error)}", "Save or download the picture again."
            ) from error


def _has_more(image: Image.Image) -> bool:
    """Whether other frames or pages follow the first; what a phone adds to its JPEG is none."""
    with suppress(Exception):  # damaged behind the first one
        return image.format not in _NAMES and bool(getattr(image, "is_animated", False))
    return False


def _pillow_reads(data: bytes) -> bool:
    from PIL import Image, UnidentifiedImageError

    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Image.open(BytesIO(data)).close()
        except UnidentifiedImageError:
            return False
        except Exception:  # damaged, perhaps: the real attempt will say so
            return True
    return True


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _unreadable(data: bytes, name: str) -> MediaDecodeError:
    found = identify(data)
    if found is None:
        return MediaDecodeError(
            f"{name} is not a picture in a known format", "Give a JPEG, PNG, WebP, GIF, BMP or TIFF."
        )
    return MediaDecodeError(f"{name} begins like {found.name} but is damaged", "Save or download the picture again.")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; damaged EXIF counts as upright."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata is no reason to refuse a good picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    from PIL.Image import Transpose

    match orientation:
        case 2:
            return image.transpose(Transpose.FLIP_LEFT_RIGHT)
        case 3:
            return image.transpose(Transpose.ROTATE_180)
        case 4:
            return image.transpose(Transpose.FLIP_TOP_BOTTOM)
        case 5:
            return image.transpose(Transpose.TRANSPOSE)
        case 6:
            return image.transpose(Transpose.ROTATE_270)
        case 7:
            return image.transpose(Transpose.TRANSVERSE)
        case 8:
            return image.transpose(Transpose.ROTATE_90)
    return image


def _draft(image: Image.Image, max_edge: int) -> None:
    """Let the JPEG decoder shrink on the way to twice the wanted size: half the time, and no visible difference."""
    longer = max(image.size)
    if longer > 2 * max_edge:
        factor = 2 * max_edge / longer
        image.draft(image.mode, (max(1, round(image.width * factor)), max(1, round(image.height * factor))))


def _shrunk(image: Image.Image, max_edge: int | None) -> Image.Image:
    from PIL.Image import Resampling

    longer = max(image.size)
    if max_edge is None or longer <= max_edge:
        return image
    size = tuple(max(1, round(edge * max_edge / longer)) for edge in image.size)
    return image.resize((size[0], size[1]), Resampling.LANCZOS, reducing_gap=3.0)


def flat(image: Image.Image) -> Image.Image:
    """The current frame as RGB, transparency on white. The result never shares memory with ``image``."""
    from PIL import Image

    match image.mode:
        case "I;16" | "I;16L" | "I;16B" | "I;16N" | "I" | "F":
            return _eight_bits(image).convert("RGB")
        case "RGBa" | "La":
            image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, scaled (Pillow's own conversion clips it to white)."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.float32)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if image.mode.startswith("I;16") or (image.mode == "I" and 255 < high <= 65535 and low >= 0):
        values /= 257
    elif image.mode == "F" and low >= 0 and high <= 1:
        values *= 255
    elif low < 0 or high > 255:
        values = (values - low) * (255 / (high - low))
    return Image.fromarray(np.nan_to_num(values).round().clip(0, 255).astype(np.uint8))
