"""Still pictures that Pillow may not read (HEIC, JPEG XL), through ffmpeg, which joins tiles and applies rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MediaDecodeError, MediaTooLarge
from ..options import MediaPolicy
from . import ffmpeg
from .labels import label

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("HEIC", "AVIF", "JPEG XL")


def read_still(data: bytes, source: str, policy: MediaPolicy) -> Image.Image:
    """The picture, RGB and upright.

    Raises:
        MediaDecodeError: damaged.
        MediaTooLarge: more pixels than the policy allows.
        MediaError: there is no ffmpeg.
    """
    from PIL import Image

    # no -map: of the pictures in a HEIC, ffmpeg itself picks the whole one that the tiles make
    arguments = ["-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    with ffmpeg.stored(data) as path, ffmpeg.run(path, source, arguments) as run:
        picture = ffmpeg.read_ppm(run)
    if picture is None:
        raise MediaDecodeError(
            f"{label(source)} cannot be read as a picture: {run.reason}",
            "Convert it to JPEG; if others like it fail too, update ffmpeg: pip install -U imageio-ffmpeg",
        )
    height, width, _ = picture.shape
    if width * height > policy.pixels:
        raise MediaTooLarge(
            f"{label(source)} has {width}×{height} pixels, more than the limit of {policy.pixels}",
            "Shrink the picture first.",
        )
    return Image.fromarray(picture)
