"""Whisper: 30 seconds at a time, in a hundred languages or in English alone, with times."""

from __future__ import annotations

from typing import ClassVar

from .speech import SpeechFamily


class Whisper(SpeechFamily):
    """``model_type: whisper``."""

    name: ClassVar[str] = "Whisper"


FAMILY = Whisper
