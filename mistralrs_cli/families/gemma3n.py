"""Gemma 3n: audio in windows, videos as timed images; smaller models nest inside the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..decoded import DecodedVideo
from ..messages import DecodedMedia, Modality, Part
from .base import Family
from .listing import Listing


class Gemma3n(Family):
    """``model_type: gemma3n``. Its processor cuts audio after 30 seconds and knows no videos."""

    name: ClassVar[str] = "Gemma 3n"
    listing: ClassVar[Listing | None] = Listing(
        "Gemma3n",
        "google/gemma-3n-E4B-it",
        ("image", "audio", "video"),
        note="Videos are given as images with their times. `--matformer-slice-name` loads a smaller model out of it.",
    )
    audio_seconds: ClassVar[float | None] = 30.0
    shortest_audio: ClassVar[float] = 0.05
    matformer: ClassVar[bool] = True

    @property
    def modalities(self) -> frozenset[Modality]:
        """Videos are given as images, so a checkpoint that reads images reads videos."""
        found = super().modalities
        return found | {"video"} if "image" in found else found

    def content(self, part: Part) -> list[dict[str, Any]]:
        """A video is its frames, each behind its time."""
        if not (isinstance(part, DecodedMedia) and isinstance(part.data, DecodedVideo)):
            return super().content(part)
        from PIL import Image

        video = part.data
        times = video.times or [index / video.fps for index in video.indices]
        items: list[dict[str, Any]] = []
        for time, pixels in zip(times, video.frames, strict=True):
            items.append({"type": "text", "text": f"Frame at {time:.1f} s:"})
            items.append({"type": "image", "image": Image.fromarray(pixels)})
        return items

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """Nothing: there are no videos left."""
        return {}

    def placeholder_ids(self, processor: Any, kind: Modality) -> frozenset[int]:
        """Frames have the placeholder of images."""
        return super().placeholder_ids(processor, "image" if kind == "video" else kind)


FAMILY = Gemma3n
