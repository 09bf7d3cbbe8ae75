"""The colours of an image as sRGB: by its embedded ICC profile, its code points (H.273), or its gamma."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from . import coding, heif, png
from .flat import eight_bits

if TYPE_CHECKING:
    from PIL import Image, ImageCms

# those of printing presses take up to 3 MiB
_LARGEST_PROFILE = 4 << 20
# the spaces a profile may be of, and the mode in which an image is handed to it
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
# a profile whose colours differ less than this from sRGB's, of 255, is taken for sRGB
_ALIKE = 2
# a profile that leaves less than this between black and white is of no use
_RANGE = 64
_PASSED_OVER = "its colour profile is damaged and was passed over"
# what a PNG with the curve of sRGB says of its gamma
_SCREEN = 1 / 2.2


def to_srgb(image: Image.Image, data: bytes) -> tuple[Image.Image, str]:
    """The decoded image with its colours as sRGB means them, and a note if its profile could not be used or it is HDR.

    Transparency stays. An image that says nothing of its colours, or that they are sRGB, stays as it is.
    """
    profile = image.info.get("icc_profile") or png.large_profile(data) or heif.profile(data)
    if profile:
        return by_profile(image, profile)
    points = png.coding(data) or heif.coding(data)
    if points is not None:
        return _keeping_alpha(image, lambda colours: coding.to_srgb(colours, *points)), coding.note(points[1])
    gamma = image.info.get("gamma")
    if isinstance(gamma, float) and "srgb" not in image.info and 0.1 < gamma < 1.1 and abs(gamma - _SCREEN) > 0.02:
        curve = [round(255 * (level / 255) ** (_SCREEN / gamma)) for level in range(256)]
        return _keeping_alpha(image, lambda colours: colours.point(curve * len(colours.getbands()))), ""
    return image, ""


def by_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """The image converted from the colours of an ICC profile, or as it is with a note where that cannot be done."""
    if len(profile) > _LARGEST_PROFILE:
        return image, _PASSED_OVER
    transform = _transform(bytes(profile), _colour_mode(image))
    if isinstance(transform, str):
        return image, transform
    if transform is None:
        return image, ""
    return _keeping_alpha(image, lambda colours: _applied(transform, colours)), ""


def _colour_mode(image: Image.Image) -> str:
    """The mode of an image's colours without their transparency: L, CMYK or RGB."""
    if image.mode in ("1", "L", "LA", "La") or image.mode.startswith(("I", "F")):
        return "L"
    return "CMYK" if image.mode == "CMYK" else "RGB"


def _keeping_alpha(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The image with its colours changed and its transparency as it was."""
    if image.mode.startswith(("I", "F")):
        return change(eight_bits(image))
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if not image.has_transparency_data:
        return change(image.convert(_colour_mode(image)))
    whole = image.convert("RGBA")
    colours = change(whole.convert(_colour_mode(image) if image.mode in ("L", "LA", "1") else "RGB")).convert("RGB")
    colours.putalpha(whole.getchannel("A"))
    return colours


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | str | None:
    """The way from a profile's colours to sRGB for images of a mode; ``None`` where they are alike, a note where the
    profile is of no use."""
    from PIL import Image, ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = _MODES.get(source.profile.xcolor_space.strip())
        if space is None:
            return _PASSED_OVER
        if space != mode and (mode, space) != ("L", "RGB"):
            return "its colour profile is for other colours than its own and was passed over"
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            space,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if space == "CMYK":
            ends = Image.new("CMYK", (2, 1))
            ends.putpixel((1, 0), (255, 255, 255, 255))
            white, black = _levels(_applied(transform, ends))
            return transform if white - black >= _RANGE else _PASSED_OVER
        before = _cube().convert(space)
        after = _applied(transform, before)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return _PASSED_OVER
    black, *_, white = _levels(after)
    if white - black < _RANGE:
        return _PASSED_OVER
    differences = zip(before.convert("RGB").tobytes(), after.tobytes(), strict=True)
    return None if all(abs(one - other) <= _ALIKE for one, other in differences) else transform


def _applied(transform: ImageCms.ImageCmsTransform, colours: Image.Image) -> Image.Image:
    """The colours, as the transform takes them, converted."""
    if colours.mode == "L" and transform.input_mode == "RGB":
        colours = colours.convert("RGB")
    converted: Image.Image = transform.apply(colours)
    return converted


def _cube() -> Image.Image:
    """Colours from all over RGB in a row, from black to white."""
    from PIL import Image

    steps = range(0, 256, 51)
    return Image.frombytes(
        "RGB", (len(steps) ** 3, 1), bytes(level for r in steps for g in steps for b in steps for level in (r, g, b))
    )


def _levels(image: Image.Image) -> list[int]:
    return list(image.convert("L").tobytes())
