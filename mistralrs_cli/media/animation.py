"""Frames of an animated picture (GIF, WebP, PNG, AVIF), through Pillow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import MediaTooLarge
from ..options import MediaPolicy
from . import film
from .image import flat, opened
from .labels import label
from .timeline import Timeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# what browsers do: a duration this short (milliseconds), or none, is played as a tenth of a second
_SHORTEST, _INSTEAD = 11, 100


def read_animation(
    data: bytes, source: str, policy: MediaPolicy, choose: Callable[[Timeline], tuple[int, ...]]
) -> tuple[NDArray[np.uint8], tuple[int, ...], Timeline, tuple[int, int]]:
    """The composited frames that ``choose`` picks: ``uint8 [frames, height, width, 3]``, transparency on white, their
    indices, the animation's timeline, and the (width, height) of the source.

    Frames are held to one GiB together, by scaling them down.

    Raises:
        MediaDecodeError: damaged.
        MediaTooLarge: more pixels or seconds than the policy allows.
    """
    import numpy as np
    from PIL import Image

    with opened(data, source, policy) as image:
        starts, now = [], 0.0
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()  # WebP knows a frame's duration only then
            starts.append(now)
            shown = float(image.info.get("duration") or 0)
            now += _INSTEAD if shown < _SHORTEST else shown
            if now > policy.seconds * 1000:
                raise MediaTooLarge(
                    f"{label(source)} lasts longer than the limit of {policy.seconds:g} s", "Give a shorter one."
                )
        timeline = Timeline(tuple(start / 1000 for start in starts), now / 1000)
        indices = choose(timeline)
        size = image.size
        factor = min(1.0, (film.MEMORY / (len(indices) * size[0] * size[1] * 3)) ** 0.5)
        scaled = max(1, int(size[0] * factor)), max(1, int(size[1] * factor))
        frames = np.empty((len(indices), scaled[1], scaled[0], 3), np.uint8)
        for place, index in enumerate(indices):
            image.seek(index)
            image.load()
            frame = flat(image)
            frames[place] = np.asarray(
                frame if frame.size == scaled else frame.resize(scaled, Image.Resampling.BICUBIC)
            )
        return frames, indices, timeline, size
