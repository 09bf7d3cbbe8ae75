"""Gemma 4, dense and mixture of experts: pictures, sounds of any length in 30-second windows, clips with timestamps."""

from __future__ import annotations

from typing import ClassVar

from ..messages import Modality
from .base import Family


class Gemma4(Family):
    """``model_type: gemma4``. The small ones hear; all of them see pictures and clips."""

    name: ClassVar[str] = "Gemma 4"
    audio_seconds: ClassVar[float | None] = 30.0
    thinking: ClassVar[tuple[str, str, str]] = ("<|channel>", "<channel|>", "thought\n")

    @property
    def modalities(self) -> frozenset[Modality]:
        """Clips go through the vision tower, so whoever sees pictures sees clips."""
        found = super().modalities
        return found | {"video"} if "image" in found else found


FAMILY = Gemma4
