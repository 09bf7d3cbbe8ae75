"""Pillow: how images are opened with it, and what its errors mean."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from ..errors import MediaDecodeError, MediaTooLarge, MistralrsError
from ..messages import MediaFormat
from ..options import MediaPolicy
from .compat import as_decoded, decoding_began
from .formats import identify
from .labels import label
from .limits import check_pixels, out_of_memory
from .png import readable

if TYPE_CHECKING:
    from PIL import Image

# Pillow would hand these to an outside program, or reads nothing of use to a model
_UNWANTED = ("EPS", "WMF", "FITS", "GRIB", "HDF5", "BUFR", "MPEG")
# an image that lacks more of its rows is refused: what is asked of it may well be in the missing part
_MOST_MISSING = 0.5
_quiet = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings (damaged metadata, its own size limit) from the user's terminal meanwhile."""
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def open_image(data: bytes, source: str, policy: MediaPolicy) -> Iterator[Image.Image]:
    """The opened, not yet decoded image; what goes wrong inside the block becomes a ``MediaError``.

    Pillow's warnings are kept from the user's terminal meanwhile.
    """
    from PIL import Image

    with quiet(), map_errors(data, source), Image.open(BytesIO(readable(data))) as image:
        if image.format in _UNWANTED:
            raise MediaDecodeError(f"{label(source)} is in the format {image.format}", "Convert it to PNG or JPEG.")
        check_pixels(image.width, image.height, source, policy)
        yield image


@contextmanager
def map_errors(data: bytes, source: str) -> Iterator[None]:
    """All that Pillow raises, as our errors: what exceeds a limit is too large, what it does not know no image, and
    the rest is damage."""
    from PIL import Image, UnidentifiedImageError

    name = label(source)
    try:
        yield
    except MistralrsError:
        raise
    except Image.DecompressionBombError as error:
        raise MediaTooLarge(f"{name} unpacks to more pixels than is safe", "Shrink the image first.") from error
    except UnidentifiedImageError as error:
        raise _unknown(data, name) from error
    except (MemoryError, OverflowError) as error:
        raise out_of_memory(source) from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged bytes
        said = str(error).lower()
        if "too large" in said or "too much memory" in said or "too many" in said:
            raise MediaTooLarge(
                f"{name} goes beyond what can be read of an image", "Save it again with an image editor."
            ) from error
        if "truncated" in said or isinstance(error, EOFError):
            raise MediaDecodeError(
                f"{name} is damaged: it ends before there is anything to see", "Save or download the image again."
            ) from error
        raise MediaDecodeError(
            f"{name} is damaged: its content cannot be decoded", "Save or download the image again."
        ) from error


def _unknown(data: bytes, name: str) -> MediaDecodeError:
    found = identify(data)
    if found is None:
        return MediaDecodeError(
            f"{name} is not an image in a known format", "Give a JPEG, PNG, WebP, GIF, BMP or TIFF."
        )
    return MediaDecodeError(f"{name} begins like {found.name} but is damaged", "Save or download the image again.")


def load(image: Image.Image, data: bytes, source: str) -> tuple[Image.Image, str]:
    """The decoded image of an opened one, and a note where the file lacks its end: then as much as there is.

    Raises what Pillow raises, and ``MediaDecodeError`` where less than half is there.
    """
    try:
        image.load()
        return image, ""
    except (OSError, SyntaxError) as error:
        if "truncated" not in str(error).lower() or not decoding_began(image):
            raise
        missing = _missing_rows(image)
        part = _as_far_as_it_goes(image, data)
        # these come coarse and whole first, so that no row is ready before the end
        coarse = bool(image.info.get("progressive") or image.info.get("interlace"))
        if all(low == high for low, high in _extrema(part)) or (missing > _MOST_MISSING and not coarse):
            raise MediaDecodeError(
                f"{label(source)} is damaged: its file breaks off, and most of the image is missing",
                "Save or download the image again.",
            ) from error
        share = "only a coarse image" if coarse else f"{1 - missing:.0%} of the image"
        return part, f"the file breaks off: {share} is there"


def _as_far_as_it_goes(image: Image.Image, data: bytes) -> Image.Image:
    """The same image, decoded up to where the file ends."""
    from PIL import Image, ImageFile

    allowed = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(BytesIO(readable(data))) as again:
            if image.size != again.size:  # a JPEG that is shrunk while it is decoded
                again.draft(image.mode, image.size)
            again.load()
            part = again.copy()
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = allowed
    part.info = again.info
    return part


def _missing_rows(image: Image.Image) -> float:
    """The share of the rows that decoding had not reached when the file ended; they were left at 0."""
    import numpy as np

    rows = np.asarray(as_decoded(image)).reshape(image.height, -1).any(axis=1)
    if image.format == "GIF":  # its rows may come in four rounds
        return 1 - float(rows.mean())
    reached = np.flatnonzero(rows)
    return 1.0 if not len(reached) else (image.height - 1 - int(reached[-1] - reached[0])) / image.height


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    found = image.getextrema()
    return [found] if not isinstance(found[0], tuple) else list(found)


def recognized(data: bytes) -> MediaFormat | None:
    """The format that Pillow opens the bytes as; ``None`` where it opens none."""
    from PIL import Image

    with quiet():
        try:
            with Image.open(BytesIO(data)) as image:
                return MediaFormat(image.format or "image", "image", bool(getattr(image, "is_animated", False)))
        except Exception:  # whatever Pillow raises on bytes that are no image, it opens none
            return None
