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
    ResponseBox,
    ResponseLogprob,
    ResponseMessage,
    ResponsePoint,
    ToolCallResponse,
    TopLogprob,
    Usage,
)


def chat_response(value: dict[str, Any]) -> ChatCompletionResponse:
    """A whole response from OpenAI's object."""
    choices = [
        Choice(
            choice["finish_reason"],
            choice["index"],
            ResponseMessage(
                choice["message"].get("content"),
                choice["message"]["role"],
                calls(choice["message"]),
                choice["message"].get("reasoning_content"),
            ),
            logprobs(choice.get("logprobs")),
            **places(choice),
        )
        for choice in value["choices"]
    ]
    return ChatCompletionResponse(**common(value), choices=choices, usage=usage(value["usage"]))


def chat_chunk(value: dict[str, Any]) -> ChatCompletionChunkResponse:
    """A piece of a streamed answer from OpenAI's object."""
    choices = [
        ChunkChoice(
            choice["finish_reason"],
            choice["index"],
            Delta(
                choice["delta"].get("content"),
                choice["delta"].get("role") or "assistant",
                calls(choice["delta"]),
                choice["delta"].get("reasoning_content"),
            ),
            logprobs(choice.get("logprobs")),
            **places(choice),
        )
        for choice in value["choices"]
    ]
    counted = value.get("usage")
    return ChatCompletionChunkResponse(
        **common(value), choices=choices, usage=None if counted is None else usage(counted)
    )


def completion_response(value: dict[str, Any]) -> CompletionResponse:
    """A continuation from OpenAI's object."""
    choices = [
        CompletionChoice(choice["finish_reason"], choice["index"], choice["text"], choice.get("logprobs"))
        for choice in value["choices"]
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


def places(choice: dict[str, Any]) -> dict[str, Any]:
    """The boxes and points of an answer, where it has some."""
    return {
        "boxes": [ResponseBox(**box) for box in choice.get("boxes") or ()],
        "points": [ResponsePoint(**point) for point in choice.get("points") or ()],
    }


def calls(message: dict[str, Any]) -> list[ToolCallResponse] | None:
    """The calls of a message."""
    return [
        ToolCallResponse(call["id"], call["type"], CalledFunction(**call["function"]))
        for call in message.get("tool_calls") or []
    ] or None


def logprobs(value: dict[str, Any] | None) -> Logprobs | None:
    """Log probabilities, where they were requested."""
    if value is None:
        return None
    content = [
        ResponseLogprob(
            token["token"], token["logprob"], token["bytes"], [TopLogprob(**top) for top in token["top_logprobs"]]
        )
        for token in value["content"]
    ]
    return Logprobs(content)
