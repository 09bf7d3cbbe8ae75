"""Images that Pillow may not read (HEIC, JPEG XL), through ffmpeg, which joins tiles and applies rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MediaDecodeError
from ..options import MediaPolicy
from . import ffmpeg
from .labels import label

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("HEIC", "AVIF", "JPEG XL")


def read_image(data: bytes, source: str, policy: MediaPolicy) -> Image.Image:
    """The image, RGB and upright, with its colours as stored.

    Raises:
        MediaDecodeError: damaged.
        MediaTooLarge: more pixels than the policy allows.
        MediaError: there is no ffmpeg.
    """
    from PIL import Image

    # no -map: of the images in a HEIC, ffmpeg itself picks the whole one that the tiles make
    arguments = ["-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    with ffmpeg.stored(data, source, policy) as file, ffmpeg.run(file, arguments) as run:
        pixels = ffmpeg.read_ppm(run, file)
    if pixels is None:
        raise MediaDecodeError(
            f"{label(source)} cannot be read as an image: {run.reason}",
            "Convert it to JPEG; if others like it fail too, update ffmpeg: pip install -U imageio-ffmpeg",
        )
    return Image.fromarray(pixels)
