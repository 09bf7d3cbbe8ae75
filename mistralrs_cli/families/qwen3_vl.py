"""Qwen3-VL: pictures and clips at two frames a second, two frames to a time step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..media.video import VideoSampling
from ..messages import Media
from .base import Family

TEMPORAL_PATCH = 2


class Qwen3VL(Family):
    """``model_type: qwen3_vl``. Frames are sampled at 2 fps, at least 4 and at most 768, as its own processor does."""

    name: ClassVar[str] = "Qwen3-VL"
    sampling: ClassVar[VideoSampling] = VideoSampling(frames=None, fps=2.0, minimum=4, maximum=768)

    def media_arguments(self, media: Sequence[Media]) -> dict[str, Any]:
        """Frames cost what the reference implementation lets them cost, not the whole budget for a short clip."""
        arguments = super().media_arguments(media)
        return arguments | {"cap_pixels_per_frame": True} if arguments else {}

    def runs_of(self, medium: Media) -> int:
        """Two frames share one run of placeholders; an odd last frame is doubled by the processor."""
        runs = super().runs_of(medium)
        return -(-runs // TEMPORAL_PATCH) if medium.kind == "video" else runs


FAMILY = Qwen3VL
