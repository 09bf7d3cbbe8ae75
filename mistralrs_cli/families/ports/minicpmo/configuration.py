"""The published configuration of MiniCPM-o 2.6: Qwen2's, with the towers beside it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import Qwen2Config


@strict
class MiniCPMOConfig(Qwen2Config):
    """``query_num`` tokens an image or slice; audio attends in steps of ``audio_chunk_length`` seconds, none if not
    positive, and ``audio_pool_step`` of Whisper's frames make a token.

    The published files give every place of an image or audio the same token, ``<unk>``. Its embedding is always
    replaced, so here audio's places have a token of their own.
    """

    model_type = "minicpmo"

    vision_config: dict[str, Any] | None = None
    audio_config: dict[str, Any] | None = None
    query_num: int = 64
    audio_pool_step: int = 2
    audio_chunk_length: float | int = 1.0
    image_token_id: int | None = None
    audio_token_id: int | None = None

    def decoder_config(self) -> Qwen2Config:
        """The decoder alone."""
        names = {field.name for field in fields(Qwen2Config)}
        return Qwen2Config(**{name: value for name, value in self.to_dict().items() if name in names})
