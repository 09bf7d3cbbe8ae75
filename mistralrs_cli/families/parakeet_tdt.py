"""Parakeet TDT: English or 25 languages, which it finds by itself, with times of words."""

from __future__ import annotations

from typing import ClassVar

from .speech import SpeechFamily


class ParakeetTDT(SpeechFamily):
    """``model_type: parakeet_tdt``."""

    name: ClassVar[str] = "Parakeet TDT"
    automodel: ClassVar[str] = "AutoModelForTDT"


FAMILY = ParakeetTDT
