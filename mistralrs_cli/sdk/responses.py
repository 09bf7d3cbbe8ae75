"""What comes back, as attributes. ``from_json`` reads the same objects from a server's answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Usage:
    """Token counts, seconds and tokens per second of one answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    avg_tok_per_sec: float
    avg_prompt_tok_per_sec: float
    avg_compl_tok_per_sec: float
    total_time_sec: float
    total_prompt_time_sec: float
    total_completion_time_sec: float
    prompt_tokens_details: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CalledFunction:
    """The function a model wants called; ``arguments`` is the text of a JSON object."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ToolCallResponse:
    """A call the model wants made."""

    id: str
    type: str
    function: CalledFunction


@dataclass(frozen=True)
class TopLogprob:
    """One of the likeliest tokens in a place."""

    token: str
    logprob: float
    bytes: list[int]


@dataclass(frozen=True)
class ResponseLogprob:
    """A token of the answer, its log probability (natural logarithm), and the likeliest ones in its place."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


@dataclass(frozen=True)
class Logprobs:
    """The log probabilities of an answer's tokens."""

    content: list[ResponseLogprob]


@dataclass(frozen=True)
class ResponseMessage:
    """What the model said."""

    content: str | None
    role: str
    tool_calls: list[ToolCallResponse] | None = None
    reasoning_content: str | None = None


@dataclass(frozen=True)
class Choice:
    """One answer. ``finish_reason`` is ``stop``, ``length``, ``canceled`` or ``tool_calls``."""

    finish_reason: str
    index: int
    message: ResponseMessage
    logprobs: Logprobs | None = None


@dataclass(frozen=True)
class ChatCompletionResponse:
    """The answer to a chat request."""

    id: str
    choices: list[Choice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage


@dataclass(frozen=True)
class Delta:
    """More of an answer."""

    content: str | None = None
    role: str = "assistant"
    tool_calls: list[ToolCallResponse] | None = None
    reasoning_content: str | None = None


@dataclass(frozen=True)
class ChunkChoice:
    """What one answer gained; ``finish_reason`` comes with the last."""

    finish_reason: str | None
    index: int
    delta: Delta
    logprobs: Logprobs | None = None


@dataclass(frozen=True)
class ChatCompletionChunkResponse:
    """A piece of a streamed answer; the last one carries the usage."""

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage | None = None


@dataclass(frozen=True)
class CompletionChoice:
    """One continuation of a text."""

    finish_reason: str
    index: int
    text: str
    logprobs: Any = None


@dataclass(frozen=True)
class CompletionResponse:
    """The answer to a completion request."""

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage


def chat_response(value: dict[str, Any]) -> ChatCompletionResponse:
    """A whole response from OpenAI's object."""
    choices = [
        Choice(
            said["finish_reason"],
            said["index"],
            ResponseMessage(
                said["message"].get("content"),
                said["message"]["role"],
                calls(said["message"]),
                said["message"].get("reasoning_content"),
            ),
            logprobs(said.get("logprobs")),
        )
        for said in value["choices"]
    ]
    return ChatCompletionResponse(**common(value), choices=choices, usage=usage(value["usage"]))


def chat_chunk(value: dict[str, Any]) -> ChatCompletionChunkResponse:
    """A piece of a streamed answer from OpenAI's object."""
    choices = [
        ChunkChoice(
            said["finish_reason"],
            said["index"],
            Delta(
                said["delta"].get("content"),
                said["delta"].get("role") or "assistant",
                calls(said["delta"]),
                said["delta"].get("reasoning_content"),
            ),
            logprobs(said.get("logprobs")),
        )
        for said in value["choices"]
    ]
    counted = value.get("usage")
    return ChatCompletionChunkResponse(
        **common(value), choices=choices, usage=None if counted is None else usage(counted)
    )


def completion_response(value: dict[str, Any]) -> CompletionResponse:
    """A continuation from OpenAI's object."""
    choices = [
        CompletionChoice(said["finish_reason"], said["index"], said["text"], said.get("logprobs"))
        for said in value["choices"]
    ]
    return CompletionResponse(**common(value), choices=choices, usage=usage(value["usage"]))


def common(value: dict[str, Any]) -> dict[str, Any]:
    """What all responses have."""
    return {name: value[name] for name in ("id", "created", "model", "object")} | {
        "system_fingerprint": value.get("system_fingerprint") or ""
    }


def usage(value: dict[str, Any]) -> Usage:
    """Counts and rates."""
    return Usage(**{name: value[name] for name in Usage.__dataclass_fields__})


def calls(said: dict[str, Any]) -> list[ToolCallResponse] | None:
    """The calls of a message."""
    return [
        ToolCallResponse(call["id"], call["type"], CalledFunction(**call["function"]))
        for call in said.get("tool_calls") or []
    ] or None


def logprobs(value: dict[str, Any] | None) -> Logprobs | None:
    """Log probabilities, where they were asked for."""
    if value is None:
        return None
    content = [
        ResponseLogprob(
            token["token"], token["logprob"], token["bytes"], [TopLogprob(**top) for top in token["top_logprobs"]]
        )
        for token in value["content"]
    ]
    return Logprobs(content)
