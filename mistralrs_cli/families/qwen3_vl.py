"""Qwen3-VL: images and videos at two frames a second, two frames to a time step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..decoded import DecodedVideo
from ..media.video import VideoSampling
from ..messages import DecodedMedia, Part
from .base import Family
from .encoder import GRIDS, Encoder
from .listing import Listing
from .qwen2_vl import MAX_ASPECT_RATIO

TEMPORAL_PATCH = 2


class Qwen3VL(Family):
    """``model_type: qwen3_vl``. Frames are sampled at 2 fps, at least 4 and at most 768, as its own processor does."""

    name: ClassVar[str] = "Qwen3-VL"
    listing: ClassVar[Listing | None] = Listing("Qwen3VL", "Qwen/Qwen3-VL-4B-Instruct", ("image", "video"))
    sampling: ClassVar[VideoSampling] = VideoSampling(frames=None, fps=2.0, minimum=4, maximum=768)
    encoders: ClassVar[tuple[Encoder, ...]] = GRIDS
    divisible_media: ClassVar[bool] = True

    @property
    def max_aspect_ratio(self) -> float | None:
        """The limit of its processor."""
        return MAX_ASPECT_RATIO

    def content(self, part: Part) -> list[dict[str, Any]]:
        """A single frame is shown twice: two make a step of time, and the processor pads every odd count but one."""
        match part:
            case DecodedMedia(data=DecodedVideo(frames=frames)) if len(frames) == 1:
                return [{"type": "video", "video": frames.repeat(TEMPORAL_PATCH, axis=0)}]
            case _:
                return super().content(part)

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """Frames cost what the reference implementation lets them cost, not the whole budget for a short video."""
        arguments = super().media_arguments(media)
        for entry in arguments.get("video_metadata", ()):
            if len(entry["frames_indices"]) == 1:
                entry["frames_indices"] *= TEMPORAL_PATCH
        return arguments | {"cap_pixels_per_frame": True} if arguments else {}

    def runs_of(self, medium: DecodedMedia) -> int:
        """Two frames share one run of placeholders; an odd last frame is doubled by the processor."""
        runs = super().runs_of(medium)
        return -(-runs // TEMPORAL_PATCH) if medium.kind == "video" else runs


FAMILY = Qwen3VL
