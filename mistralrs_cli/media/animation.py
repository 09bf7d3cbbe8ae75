"""Frames of an animated image (GIF, WebP, PNG, AVIF), through Pillow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..options import MediaPolicy
from .colours import to_srgb
from .flat import flat
from .limits import too_long, too_slow
from .pillow import open_image
from .timeline import Timeline
from .video_ffmpeg import MEMORY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

# what browsers do: a duration this short (milliseconds), or none, is played as a tenth of a second
_SHORTEST, _INSTEAD = 11, 100


def read_animation(
    data: bytes, source: str, policy: MediaPolicy, choose: Callable[[Timeline], tuple[int, ...]]
) -> tuple[NDArray[np.uint8], tuple[int, ...], Timeline, tuple[int, int], str]:
    """The composited frames that ``choose`` picks: ``uint8 [frames, height, width, 3]``, transparency on white, their
    indices, the animation's timeline, the (width, height) of the source, and a note.

    Frames are held to one GiB together, by scaling them down. A file that ends too early gives the frames before.

    Raises:
        MediaDecodeError: damaged.
        MediaTooLarge: more pixels or seconds than the policy allows, or it takes too long.
    """
    import numpy as np
    from PIL import Image

    deadline = time.monotonic() + policy.decode_seconds
    with open_image(data, source, policy) as image:
        size = image.size
        starts, now, note = [], 0.0, ""
        for shown in _durations(image):
            starts.append(now)
            now += _INSTEAD if shown < _SHORTEST else shown
            if now > policy.seconds * 1000:
                raise too_long(source, policy)
            if time.monotonic() > deadline:
                raise too_slow(source, policy)
        timeline = Timeline(tuple(start / 1000 for start in starts), now / 1000)
        indices = choose(timeline)
        factor = min(1.0, (MEMORY / (len(indices) * size[0] * size[1] * 3)) ** 0.5)
        scaled = max(1, int(size[0] * factor)), max(1, int(size[1] * factor))
        frames = np.empty((len(indices), scaled[1], scaled[0], 3), np.uint8)
        for place, index in enumerate(indices):
            if time.monotonic() > deadline:
                raise too_slow(source, policy)
            image.seek(index)
            image.load()
            frame, note = to_srgb(image, data)
            frame = flat(frame)
            frames[place] = np.asarray(
                frame if frame.size == scaled else frame.resize(scaled, Image.Resampling.BICUBIC)
            )
        return frames, indices, timeline, size, note


def _durations(image: Image.Image) -> Iterator[float]:
    """How long each frame is shown, in milliseconds, up to the end or to the first frame that cannot be decoded."""
    index = 0
    while True:
        try:
            image.seek(index)
            image.load()  # WebP knows a frame's duration only then
        except EOFError:
            return
        except (OSError, SyntaxError, ValueError):
            if index == 0:
                raise
            return
        duration = image.info.get("duration")
        yield float(duration) if isinstance(duration, (int, float)) else 0.0
        index += 1
