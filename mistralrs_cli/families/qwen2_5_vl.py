"""Qwen2.5-VL: as Qwen2-VL, and the positions of a video's frames follow the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..decoded import DecodedVideo
from ..messages import DecodedMedia
from .listing import Listing
from .qwen2_vl import Qwen2VL

TOKENS_PER_SECOND = 4  # of the configuration class, where config.json says nothing


class Qwen25VL(Qwen2VL):
    """``model_type: qwen2_5_vl``."""

    name: ClassVar[str] = "Qwen2.5-VL"
    listing: ClassVar[Listing | None] = Listing("Qwen2_5VL", "Qwen/Qwen2.5-VL-7B-Instruct", ("image", "video"))

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """The processor wants the rate of the frames it is given, also where they are a part of a video."""
        arguments = super().media_arguments(media)
        videos = [medium.data for medium in media if isinstance(medium.data, DecodedVideo)]
        for entry, video in zip(arguments.get("video_metadata", ()), videos, strict=True):
            times = video.times
            if times and times[-1] > times[0]:
                rate = (len(times) - 1) / (times[-1] - times[0])
                entry.update(fps=rate, total_num_frames=len(times), frames_indices=list(range(len(times))))
        return arguments

    def time_steps(self, inputs: Mapping[str, Any]) -> Iterator[float]:
        """Two frames make a step of so many seconds, and a second so many positions."""
        rate = self.config["vision_config"].get("tokens_per_second", TOKENS_PER_SECOND)
        for seconds in inputs.get("second_per_grid_ts", ()):
            yield float(seconds) * rate


FAMILY = Qwen25VL
