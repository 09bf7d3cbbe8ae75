"""OpenAI's objects, as the protocol makes them and as a server sends them, to those of the SDK."""

from __future__ import annotations

from typing import Any

from .responses import (
    CalledFunction,
    ChatCompletionChunkResponse,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    CompletionChoice,
    CompletionResponse,
    Delta,
    Logprobs,
    ResponseLogprob,
    ResponseMessage,
    ToolCallResponse,
    TopLogprob,
    Usage,
)


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
    return Usage(**{name: value[name] for name in Usage.__dataclass_fields__ if name in value})


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
