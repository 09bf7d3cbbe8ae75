"""Images: any format Pillow reads, as upright RGB."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..decoded import DecodedImage
from ..messages import MediaOptions
from ..options import MediaPolicy
from . import image_ffmpeg, pdf, pillow
from .colours import to_srgb
from .flat import flat
from .formats import identify
from .kinds import refuse_other
from .limits import check_pixels
from .pages import chosen_page, tiff_page
from .pillow import open_image

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["DecodedImage", "decode_image", "flat", "open_image"]

# a phone's JPEG with a second image (depth, a preview) in it
_NAMES = {"MPO": "JPEG"}
LARGEST = 1 << 25
"""Pixels that an image is shrunk to where it has more: twice what any model looks at. A blank scan of 100 million
pixels is 13 KB to send and half a minute of a processor's work."""


def decode_image(data: bytes, source: str, options: MediaOptions, policy: MediaPolicy) -> DecodedImage:
    """Decode an image: EXIF orientation applied, transparency flattened on white, any mode turned into RGB.

    Of an animation, the first frame. Colours become sRGB by the image's profile, HDR becomes SDR. A file that ends
    too early gives what is there of it. ``options.max_edge`` shrinks the longer edge to that many pixels, keeping the
    aspect; it never enlarges. An image of more than ``LARGEST`` pixels is shrunk to that many.

    Raises:
        MediaDecodeError: not an image, or damaged.
        MediaTooLarge: more pixels than ``policy.pixels``; seen before decoding.
    """
    refuse_other(data, source, "image")
    found = identify(data)
    if found is not None and found.name in image_ffmpeg.FORMATS and pillow.recognized(data) is None:
        image = image_ffmpeg.read_image(data, source, policy)
        with pillow.quiet(), pillow.map_errors(data, source):
            image, note = to_srgb(image, data)
            shrunk = shrunk_to(image, options.max_edge)
        return DecodedImage(shrunk, image.width, image.height, found.name, found.animated, note)
    page = chosen_page(options.pages)
    if found is not None and found.name == "PDF":
        return pdf.render_page(data, source, page, options.dpi, options.max_edge, LARGEST, policy)
    with open_image(data, source, policy) as image:
        if page > 1:
            tiff_page(image, page)
            check_pixels(image.width, image.height, source, policy)
        width, height = image.size
        name = image.format or "image"
        if options.max_edge is not None:
            _draft(image, options.max_edge)
        more = options.pages is None and _has_more(image)
        decoded, cut = pillow.load(image, data, source)
        orientation = orientation_of(decoded)  # only now: a TIFF has turned itself upright while loading
        decoded = _sized(decoded)
        decoded, colours = to_srgb(decoded, data)
        result = turned(shrunk_to(flat(decoded), options.max_edge), orientation)
        if orientation >= 5:
            width, height = height, width
        note = "; ".join(filter(None, (cut, colours)))
        return DecodedImage(result, width, height, _NAMES.get(name, name), more, note)


def _sized(image: Image.Image) -> Image.Image:
    """The image, shrunk if it has more pixels than any model looks at."""
    factor = (LARGEST / (image.width * image.height)) ** 0.5
    if factor >= 1:
        return image
    if image.mode in ("1", "P", "PA"):
        image = _with_info(image.convert("L" if image.mode == "1" else "RGBA"), image)
    size = max(1, int(image.width * factor)), max(1, int(image.height * factor))
    return _with_info(image.resize(size, reducing_gap=2.0), image)


def _with_info(image: Image.Image, original: Image.Image) -> Image.Image:
    image.info = original.info
    return image


def _has_more(image: Image.Image) -> bool:
    """Whether other frames or pages follow the first; what a phone adds to its JPEG is none."""
    with suppress(Exception):  # damaged behind the first one
        return image.format not in _NAMES and bool(getattr(image, "is_animated", False))
    return False


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; damaged EXIF counts as upright."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata is no reason to refuse a good image
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
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


def shrunk_to(image: Image.Image, max_edge: int | None) -> Image.Image:
    from PIL.Image import Resampling

    longer = max(image.size)
    if max_edge is None or longer <= max_edge:
        return image
    size = tuple(max(1, round(edge * max_edge / longer)) for edge in image.size)
    return image.resize((size[0], size[1]), Resampling.LANCZOS, reducing_gap=3.0)
