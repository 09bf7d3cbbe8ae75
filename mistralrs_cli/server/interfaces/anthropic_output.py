"""The message of Anthropic's interface while it grows, and the events that announce it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import MistralrsError
from ...events import Done, Event, ReasoningDelta, Started, TextDelta
from ...messages import ToolCall
from ...protocol.history import arguments
from ..exchange import ResponseFormat
from ..http import errors
from ..http.sse import event
from ..response_streams import ResponseStreams
from .schemas import AnthropicRequest

UNUSED: dict[str, Any] = dict.fromkeys(
    ("cache_creation", "inference_geo", "output_tokens_details", "server_tool_use", "service_tier")
)
REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "canceled": "end_turn"}


class AnthropicMessage(ResponseFormat):
    """The response: the message as its blocks are written."""

    def __init__(self, body: AnthropicRequest, model: str, streams: ResponseStreams) -> None:
        self._streams = streams
        self._begun = False
        self._open = False  # whether the last block is being written
        self.message: dict[str, Any] = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            "usage": UNUSED | {"input_tokens": 0, "output_tokens": 0},
        }

    def whole(self, events: Sequence[Sequence[Event]]) -> dict[str, Any]:
        """The ``message`` object."""
        for happened in events[0]:
            for _ in self.chunk(0, happened):
                pass
        return self.message

    def chunk(self, index: int, happened: Event) -> Iterator[bytes]:
        """The events that one event of the engine makes."""
        if isinstance(happened, Started):
            return
        if not self._begun:  # only now is it known how many tokens of the prompt were cached
            self._begun = True
            self.message["usage"] |= input_usage(self._streams.prompt_tokens, self._streams.cached_tokens)
            yield self._event("message_start", message=self.message)
        match happened:
            case TextDelta(text):
                yield from self._delta(
                    {"type": "text", "text": "", "citations": None}, {"type": "text_delta", "text": text}
                )
                self.message["content"][-1]["text"] += text
            case ReasoningDelta(text):
                thinking = {"type": "thinking", "thinking": "", "signature": ""}
                yield from self._delta(thinking, {"type": "thinking_delta", "thinking": text})
                self.message["content"][-1]["thinking"] += text
            case ToolCall(name, function, written):
                yield from self._end_block()
                block: dict[str, Any] = {"type": "tool_use", "id": name, "name": function, "input": {}}
                block["caller"] = {"type": "direct"}
                yield from self._delta(block, {"type": "input_json_delta", "partial_json": written})
                self.message["content"][-1]["input"] = json.loads(arguments(written))  # a call may have been cut
                yield from self._end_block()
            case Done():
                yield from self._end_block()
                yield from self._end(happened)

    def error(self, error: MistralrsError) -> Iterator[bytes]:
        """The error."""
        yield event(errors.body(error, errors.ANTHROPIC), "error")

    def _event(self, kind: str, **data: Any) -> bytes:
        return event({"type": kind} | data, kind)

    def _delta(self, block: dict[str, Any], delta: dict[str, Any]) -> Iterator[bytes]:
        """Add to the block that is being written, or begin this one where it is of another type."""
        content = self.message["content"]
        if not self._open or content[-1]["type"] != block["type"]:
            yield from self._end_block()
            content.append(block)
            self._open = True
            yield self._event("content_block_start", index=len(content) - 1, content_block=block)
        yield self._event("content_block_delta", index=len(content) - 1, delta=delta)

    def _end_block(self) -> Iterator[bytes]:
        if self._open:
            self._open = False
            yield self._event("content_block_stop", index=len(self.message["content"]) - 1)

    def _end(self, done: Done) -> Iterator[bytes]:
        counts = done.usage
        self.message["stop_reason"] = "stop_sequence" if done.stop is not None else REASONS[done.reason]
        self.message["stop_sequence"] = done.stop
        usage = input_usage(counts.prompt_tokens, counts.cached_tokens) | {
            "output_tokens": counts.completion_tokens,
            "output_tokens_details": {"thinking_tokens": counts.reasoning_tokens},
            "server_tool_use": None,
        }
        self.message["usage"] |= usage
        names = ("stop_reason", "stop_sequence", "stop_details", "container")
        yield self._event("message_delta", delta={name: self.message[name] for name in names}, usage=usage)
        yield self._event("message_stop")


def input_usage(prompt: int, cached: int) -> dict[str, int]:
    """The tokens of a prompt as Anthropic counts them: ``input_tokens`` are those that were not cached."""
    return {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }
