"""Events as OpenAI's objects: a whole answer, and the pieces of a streamed one."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator
from typing import Any

from ..events import Done, Event, MediaReport, ReasoningDelta, Reply, Started, TextDelta, TokenLogprobs
from ..grounding import find
from ..messages import ToolCall
from .tools import free_text


def head(kind: str, model: str) -> dict[str, Any]:
    """What every response and chunk begins with."""
    return {
        "id": f"{'cmpl' if kind == 'text_completion' else 'chatcmpl'}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": "mistralrs",
    }


def choice(index: int, reply: Reply, customs: Collection[str] = ()) -> dict[str, Any]:
    """One answer of a whole response. ``customs`` are the tools that take free text."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": reply.text if reply.text or not reply.tool_calls else None,
        "refusal": None,
    }
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [call_object(call, customs) for call in reply.tool_calls]
    logprobs = [logprob_object(token) for token in reply.logprobs]
    return {
        "index": index,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": reply.reason,
        **reply.found.objects(),
    }


class ChunkChoices:
    """The pieces of one answer, numbering the calls it makes. The last one has the boxes and points of all."""

    def __init__(self, index: int, customs: Collection[str] = ()) -> None:
        self.index = index
        self.customs = customs
        self.calls = 0
        self.media: tuple[MediaReport, ...] = ()
        self.text: list[str] = []

    def piece(self, delta: dict[str, Any], reason: str | None = None, logprobs: Any = None) -> dict[str, Any]:
        """One piece."""
        return {"index": self.index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}

    def of(self, event: Event) -> Iterator[dict[str, Any]]:
        """The piece an event makes, if any."""
        match event:
            case Started():
                self.media = event.media
            case TextDelta(text):
                self.text.append(text)
                yield self.piece({"content": text})
            case ReasoningDelta(text):
                yield self.piece({"reasoning_content": text})
            case TokenLogprobs():
                yield self.piece({}, logprobs={"content": [logprob_object(event)], "refusal": None})
            case ToolCall():
                yield self.piece({"tool_calls": [{"index": self.calls} | call_object(event, self.customs)]})
                self.calls += 1
            case Done(reason):
                yield self.piece({}, reason) | find("".join(self.text), self.media).objects()


def call_object(call: ToolCall, customs: Collection[str] = ()) -> dict[str, Any]:
    """A call as OpenAI writes it: of a function, or of a tool that takes free text."""
    if call.name in customs:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": free_text(call.arguments)}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def logprob_object(token: TokenLogprobs) -> dict[str, Any]:
    """A token with its alternatives as OpenAI writes it."""
    chosen, *likeliest = (
        {"token": scored.text, "logprob": scored.logprob, "bytes": list(scored.encoded)}
        for scored in (token.chosen, *token.likeliest)
    )
    return chosen | {"top_logprobs": likeliest}
