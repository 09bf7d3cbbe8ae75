"""The JSON bodies of requests, field by field. What a message may hold is for ``protocol`` to check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema

from ..generation_request import MOST_CHOICES
from ..http.body import Fields
from .common_fields import (
    MESSAGES,
    UNSUPPORTED,
    Ignored,
    KeepAlive,
    Messages,
    SamplingFields,
    StreamOptions,
    UnusedFields,
)


class ChatRequest(SamplingFields, KeepAlive, UnusedFields):
    """``POST /v1/chat/completions``."""

    unsupported: ClassVar[Mapping[str, tuple[Any, ...]]] = UNSUPPORTED | {
        "functions": (),
        "function_call": ("none", "auto"),
        "web_search_options": (),
    }
    model: str | None = None
    messages: Messages
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    enable_thinking: bool | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    modalities: list[Literal["text"]] | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None
    thinking: dict[str, Any] | None = None
    thinking_budget: int | None = None
    reasoning: dict[str, Any] | None = None


class CompletionRequest(SamplingFields, KeepAlive, UnusedFields):
    """``POST /v1/completions``: go on with a text, or with tokens, as they are."""

    unsupported: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        name: values for name, values in UNSUPPORTED.items() if name != "best_of"
    } | {"suffix": ("",)}
    model: str | None = None
    prompt: str | list[str] | list[int] | list[list[int]]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    best_of: int | None = None


class Reasoning(Fields):
    """How much to reason."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    summary: Ignored
    generate_summary: Ignored
    context: Ignored
    exclude: Ignored


class TextForm(Fields):
    """The format of the answer."""

    format: dict[str, Any] | None = None
    verbosity: Ignored


INPUT = {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]}


class ResponsesRequest(KeepAlive, UnusedFields):
    """``POST /v1/responses``: OpenAI's newer interface. Nothing is stored between requests."""

    unsupported: ClassVar[Mapping[str, tuple[Any, ...]]] = UNSUPPORTED | {
        "previous_response_id": ("",),
        "conversation": (),
        "prompt": (),
    }
    model: str | None = None
    input: Annotated[Any, WithJsonSchema(INPUT)]
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    grammar: dict[str, Any] | None = None
    text: TextForm | None = None
    reasoning: Reasoning | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: Literal[False] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    enable_thinking: bool | None = None
    max_tool_calls: Ignored
    client_metadata: Ignored
    context_management: Ignored


class AnthropicRequest(KeepAlive):
    """``POST /v1/messages``: Anthropic's interface."""

    model: str | None = None
    messages: Messages
    system: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "null"}]})] = None
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    stream: bool | None = None
    metadata: Ignored
    service_tier: Ignored
    cache_control: Ignored
    context_management: Ignored
    betas: Ignored
    anthropic_beta: Ignored
    anthropic_version: Ignored
    speed: Ignored
    inference_geo: Ignored


class CountRequest(AnthropicRequest):
    """``POST /v1/messages/count_tokens``: how long a prompt is."""

    max_tokens: int = 1


class TokenizeRequest(Fields):
    """``POST /tokenize``: the tokens of a text, or of a conversation with its media."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[Any, WithJsonSchema(MESSAGES)] = None
    add_special_tokens: bool | None = None
    enable_thinking: bool | None = None
    tools: list[dict[str, Any]] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None


class DetokenizeRequest(Fields):
    """``POST /detokenize``: the text of tokens."""

    model: str | None = None
    tokens: list[int]
    skip_special_tokens: bool | None = None


class ModelRequest(KeepAlive):
    """``POST /v1/models/load``, ``unload``, ``reload`` and ``status``: which model; ``model_id`` is the same."""

    model: str | None = None
    model_id: str | None = None
