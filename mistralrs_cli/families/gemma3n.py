"""Gemma 3n: sounds in windows, clips as timed pictures; smaller models nest inside the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..decoded import DecodedAudio, DecodedVideo
from ..messages import DecodedMedia, Modality, Part
from .base import Family
from .listing import Listing

SHORTEST = 0.05  # seconds; the audio tower cannot take less


class Gemma3n(Family):
    """``model_type: gemma3n``. Its processor cuts sounds after 30 seconds and knows no clips."""

    name: ClassVar[str] = "Gemma 3n"
    listing: ClassVar[Listing | None] = Listing(
        "Gemma3n",
        "google/gemma-3n-E4B-it",
        ("image", "audio", "video"),
        note="Clips are shown as pictures with their times. `--matformer-slice-name` loads a smaller model out of it.",
    )
    audio_seconds: ClassVar[float | None] = 30.0
    matformer: ClassVar[bool] = True

    @property
    def modalities(self) -> frozenset[Modality]:
        """Clips are shown as pictures, so whoever sees pictures sees clips."""
        found = super().modalities
        return found | {"video"} if "image" in found else found

    def content(self, part: Part) -> list[dict[str, Any]]:
        """A clip is its frames, each behind its time."""
        if not (isinstance(part, DecodedMedia) and isinstance(part.data, DecodedVideo)):
            return super().content(part)
        from PIL import Image

        clip = part.data
        times = clip.times or [index / clip.fps for index in clip.indices]
        items: list[dict[str, Any]] = []
        for time, pixels in zip(times, clip.frames, strict=True):
            items.append({"type": "text", "text": f"Frame at {time:.1f} s:"})
            items.append({"type": "image", "image": Image.fromarray(pixels)})
        return items

    def windows(self, sound: DecodedAudio) -> list[Any]:
        """A click is heard with silence after it."""
        import numpy as np

        least = int(SHORTEST * sound.rate)
        return [np.pad(window, (0, max(0, least - len(window)))) for window in super().windows(sound)]

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """Nothing: there are no clips left."""
        return {}

    def placeholder_ids(self, processor: Any, kind: Modality) -> frozenset[int]:
        """Frames have the placeholder of pictures."""
        return super().placeholder_ids(processor, "image" if kind == "video" else kind)


FAMILY = Gemma3n
