"""Moonshine Streaming: English with an encoder that looks a little ahead, without times."""

from __future__ import annotations

from typing import ClassVar

from .speech import SpeechFamily


class MoonshineStreaming(SpeechFamily):
    """``model_type: moonshine_streaming``."""

    name: ClassVar[str] = "Moonshine Streaming"
    speech_times: ClassVar[bool] = False


FAMILY = MoonshineStreaming
