"""Canary: 25 European languages, transcribed, or translated into English, without times."""

from __future__ import annotations

from typing import ClassVar

from .speech import SpeechFamily


class Canary(SpeechFamily):
    """``model_type: canary``."""

    name: ClassVar[str] = "Canary"
    speech_times: ClassVar[bool] = False

    @property
    def context_length(self) -> int | None:
        """The most tokens of a window's text, with those that say the task."""
        return (self.config.get("decoder_config") or {}).get("max_position_embeddings")


FAMILY = Canary
