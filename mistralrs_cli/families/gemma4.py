"""Gemma 4, dense and mixture of experts: images, audio of any length in 30-second windows, videos with timestamps."""

from __future__ import annotations

from typing import ClassVar

from ..messages import Modality
from .base import Family
from .encoder import AUDIO, IMAGES, Encoder
from .listing import Listing


class Gemma4(Family):
    """``model_type: gemma4``. The small ones read audio; all of them read images and videos."""

    name: ClassVar[str] = "Gemma 4"
    listing: ClassVar[Listing | None] = Listing(
        "Gemma4",
        "google/gemma-4-E4B-it",
        ("image", "audio", "video"),
        note="Dense and mixture of experts. The large ones do not read audio.",
    )
    audio_seconds: ClassVar[float | None] = 30.0
    shortest_audio: ClassVar[float] = 0.02  # makes one token
    thinking: ClassVar[tuple[str, str, str]] = ("<|channel>", "<channel|>", "thought\n")
    encoders: ClassVar[tuple[Encoder, ...]] = (
        IMAGES,
        Encoder("get_video_features", sizes="num_frames_per_video"),
        AUDIO,
    )

    @property
    def modalities(self) -> frozenset[Modality]:
        """Videos go through the vision tower, so a checkpoint that reads images reads videos."""
        found = super().modalities
        return found | {"video"} if "image" in found else found


FAMILY = Gemma4
