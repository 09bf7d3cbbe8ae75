"""Parakeet CTC: English without capitals and punctuation, with times of words."""

from __future__ import annotations

from typing import ClassVar

from .speech import SpeechFamily


class ParakeetCTC(SpeechFamily):
    """``model_type: parakeet_ctc``."""

    name: ClassVar[str] = "Parakeet CTC"
    automodel: ClassVar[str] = "AutoModelForCTC"


FAMILY = ParakeetCTC
