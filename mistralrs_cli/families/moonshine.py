"""Moonshine: English, or one other language in each checkpoint, without times."""

from __future__ import annotations

from typing import ClassVar

from .speech import SpeechFamily


class Moonshine(SpeechFamily):
    """``model_type: moonshine``."""

    name: ClassVar[str] = "Moonshine"
    speech_times: ClassVar[bool] = False


FAMILY = Moonshine
