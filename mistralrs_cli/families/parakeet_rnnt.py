"""Parakeet RNN-T: English, with times of words."""

from __future__ import annotations

from typing import ClassVar

from .speech import SpeechFamily


class ParakeetRNNT(SpeechFamily):
    """``model_type: parakeet_rnnt``."""

    name: ClassVar[str] = "Parakeet RNN-T"
    automodel: ClassVar[str] = "AutoModelForRNNT"


FAMILY = ParakeetRNNT
