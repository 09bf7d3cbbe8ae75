"""Gemma 4, dense and mixture of experts: pictures, sounds of any length in 30-second windows, clips with timestamps."""

from __future__ import annotations

from typing import Any, ClassVar

from ..decoded import DecodedAudio
from ..messages import Modality
from .base import Family
from .encoder import PICTURES, SOUNDS, Encoder
from .listing import Listing

SHORTEST = 0.02  # seconds that make one token; the audio tower cannot take less


class Gemma4(Family):
    """``model_type: gemma4``. The small ones hear; all of them see pictures and clips."""

    name: ClassVar[str] = "Gemma 4"
    listing: ClassVar[Listing | None] = Listing(
        "Gemma4",
        "google/gemma-4-E4B-it",
        ("image", "audio", "video"),
        note="Dense and with experts. The large ones do not hear.",
    )
    audio_seconds: ClassVar[float | None] = 30.0
    thinking: ClassVar[tuple[str, str, str]] = ("<|channel>", "<channel|>", "thought\n")
    encoders: ClassVar[tuple[Encoder, ...]] = (
        PICTURES,
        Encoder("get_video_features", sizes="num_frames_per_video"),
        SOUNDS,
    )

    @property
    def modalities(self) -> frozenset[Modality]:
        """Clips go through the vision tower, so whoever sees pictures sees clips."""
        found = super().modalities
        return found | {"video"} if "image" in found else found

    def windows(self, sound: DecodedAudio) -> list[Any]:
        """A click shorter than a token is heard with silence after it."""
        import numpy as np

        least = int(SHORTEST * sound.rate)
        return [np.pad(window, (0, max(0, least - len(window)))) for window in super().windows(sound)]


FAMILY = Gemma4
