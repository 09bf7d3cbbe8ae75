"""Fields that several bodies have in common: messages, sampling, and those without effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from ...options import Sampling
from ...protocol import sampling
from ..http.body import Fields

PART = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["text", "image_url", "audio_url", "video_url", "input_audio"]},
        "text": {"type": "string"},
        "image_url": {"type": "object", "properties": {"url": {"type": "string"}}},
        "audio_url": {"type": "object", "properties": {"url": {"type": "string"}}},
        "video_url": {
            "type": "object",
            "properties": {
                "url": {"type": "string"},
                "fps": {"type": "number"},
                "num_frames": {"type": "integer"},
                "start": {"type": "number"},
                "end": {"type": "number"},
                "soundtrack": {"type": "boolean"},
            },
        },
        "input_audio": {"type": "object", "properties": {"data": {"type": "string"}, "format": {"type": "string"}}},
    },
}
MESSAGE = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": PART}, {"type": "null"}]},
        "name": {"type": "string"},
        "tool_calls": {"type": "array", "items": {"type": "object"}},
        "tool_call_id": {"type": "string"},
    },
}
MESSAGES = {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": MESSAGE}]}
Messages = Annotated[Any, WithJsonSchema(MESSAGES)]

Ignored = Annotated[Any, Field(default=None, description="Accepted, without effect here.")]


OFF: tuple[Any, ...] = (False, 0)
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "min_tokens": OFF,
    "best_of": (1,),
    "use_beam_search": OFF,
    "length_penalty": (0, 1),
    "stop_token_ids": (),
    "bad_words": (),
    "include_stop_str_in_output": OFF,
    "allowed_token_ids": (),
    "prompt_logprobs": OFF,
    "typical_p": (1,),
    "tfs_z": (1,),
    "top_a": OFF,
    "mirostat": OFF,
    "mirostat_mode": OFF,
    "xtc_probability": OFF,
    "dynatemp_range": OFF,
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
    "structured_outputs": (),
    "json_schema": (),
    "mm_processor_kwargs": (),
    "chat_template": (),
    "documents": (),
}
"""Sampling fields of other servers that this one does not support, with the values that change nothing."""


class StreamOptions(Fields):
    """What a stream holds beside the answer."""

    include_usage: bool | None = None
    include_obfuscation: Ignored
    continuous_usage_stats: Ignored


class SamplingFields(Fields):
    """Sampling: OpenAI's names, and those of mistral.rs beyond them."""

    unsupported: ClassVar[Mapping[str, tuple[Any, ...]]] = UNSUPPORTED
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    response_format: dict[str, Any] | None = None
    grammar: dict[str, Any] | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: list[str] | None = None
    ignore_eos: bool | None = None
    truncate_sequence: bool | None = None

    def sampling(self, **others: Any) -> Sampling:
        """These fields as ``Sampling``, with others that only some interfaces have."""
        return sampling(**{name: getattr(self, name) for name in SamplingFields.model_fields}, **others)


class KeepAlive(Fields):
    """How long the model stays in memory after the answer."""

    keep_alive: str | float | None = None


class UnusedFields(Fields):
    """Fields without effect: what they control at OpenAI (storing, billing, reporting) does not happen here."""

    user: Ignored
    metadata: Ignored
    store: Ignored
    service_tier: Ignored
    safety_identifier: Ignored
    prompt_cache_key: Ignored
    prompt_cache_options: Ignored
    prompt_cache_retention: Ignored
    verbosity: Ignored
    prediction: Ignored
    audio: Ignored
    cache_control: Ignored
    request_id: Ignored
    priority: Ignored
    cache_prompt: Ignored
