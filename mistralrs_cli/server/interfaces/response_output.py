"""A response of ``/v1/responses`` while it grows: its items, and the events that announce them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import MistralrsError
from ...events import Done, Event, ReasoningDelta, TextDelta, TokenLogprobs
from ...messages import ToolCall
from ...protocol.answers import logprob_object
from ..exchange import ResponseFormat
from ..http import errors
from ..http.sse import event
from ..response_streams import ResponseStreams
from .response_object import empty_response
from .response_tools import item_of, response_tools
from .schemas import ResponsesRequest


class ResponseOutput(ResponseFormat):
    """The response: its items as they are written, and the events that announce them."""

    def __init__(self, body: ResponsesRequest, model: str, streams: ResponseStreams) -> None:
        self.tools = response_tools(body.tools)
        self._logprobs: list[dict[str, Any]] = []  # log probabilities of tokens whose text is still to come
        self._number = -1
        self._open: dict[str, Any] | None = None  # the item that text goes into
        self.response = empty_response(body, model, *streams.drawing)

    def _event(self, kind: str, **data: Any) -> bytes:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number} | data, kind)

    def whole(self, events: Sequence[Sequence[Event]]) -> dict[str, Any]:
        """The ``response`` object."""
        for happened in events[0]:
            for _ in self.chunk(0, happened):
                pass
        return self.response

    def begin(self) -> Iterator[bytes]:
        """The response without output."""
        yield self._event("response.created", response=self.response)
        yield self._event("response.in_progress", response=self.response)

    def chunk(self, index: int, happened: Event) -> Iterator[bytes]:
        """The events that one event of the engine makes."""
        match happened:
            case TokenLogprobs():
                self._logprobs.append(logprob_object(happened))
            case TextDelta(text):
                yield from self._text("message", "output_text", text)
            case ReasoningDelta(text):
                yield from self._text("reasoning", "reasoning_text", text)
            case ToolCall():
                yield from self._end_item()
                yield from self._call(happened)
            case Done():
                yield from self._end_item()
                yield from self._end(happened)

    def _place(self) -> dict[str, Any]:
        return {"output_index": len(self.response["output"]) - 1, "item_id": self.response["output"][-1]["id"]}

    def _text(self, kind: str, part: str, text: str) -> Iterator[bytes]:
        if self._open is None or self._open["type"] != kind:
            yield from self._end_item()
            self._open = self._new(kind)
            yield self._event(
                "response.output_item.added", output_index=self._place()["output_index"], item=dict(self._open)
            )
            content: dict[str, Any] = {"type": part, "text": ""}
            if kind == "message":
                content |= {"annotations": [], "logprobs": []}
            yield self._event("response.content_part.added", **self._place(), content_index=0, part=dict(content))
            self._open["content"] = [content]
        self._open["content"][0]["text"] += text
        more: dict[str, Any] = {}
        if kind == "message":
            more["logprobs"], self._logprobs = self._logprobs, []
            self._open["content"][0]["logprobs"] += more["logprobs"]
        yield self._event(f"response.{part}.delta", **self._place(), content_index=0, delta=text, **more)

    def _new(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {"type": kind, "status": "in_progress", "content": []}
        if kind == "message":
            found |= {"id": f"msg_{uuid.uuid4().hex}", "role": "assistant"}
        else:
            found |= {"id": f"rs_{uuid.uuid4().hex}", "summary": []}
        self.response["output"].append(found)
        return found

    def _end_item(self) -> Iterator[bytes]:
        if self._open is None:
            return
        done, self._open = self._open, None
        content = done["content"][0]
        done["status"] = "completed"
        more: dict[str, Any] = {"logprobs": content["logprobs"]} if done["type"] == "message" else {}
        kind = content["type"]
        yield self._event(f"response.{kind}.done", **self._place(), content_index=0, text=content["text"], **more)
        yield self._event("response.content_part.done", **self._place(), content_index=0, part=content)
        yield self._event("response.output_item.done", output_index=self._place()["output_index"], item=done)

    def _call(self, call: ToolCall) -> Iterator[bytes]:
        made = item_of(call, self.tools, uuid.uuid4().hex)
        self.response["output"].append(made)
        index = self._place()["output_index"]
        part, kind = (
            ("input", "custom_tool_call_input") if "input" in made else ("arguments", "function_call_arguments")
        )
        named = {} if "input" in made else {"name": made["name"]}
        yield self._event(
            "response.output_item.added", output_index=index, item=made | {part: "", "status": "in_progress"}
        )
        yield self._event(f"response.{kind}.delta", **self._place(), delta=made[part])
        yield self._event(f"response.{kind}.done", **self._place(), **named, **{part: made[part]})
        yield self._event("response.output_item.done", output_index=index, item=made)

    def _end(self, done: Done) -> Iterator[bytes]:
        cut = done.reason == "length"
        counts = done.usage
        self.response |= {
            "status": "incomplete" if cut else "completed",
            "completed_at": None if cut else int(time.time()),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": {
                "input_tokens": counts.prompt_tokens,
                "input_tokens_details": {"cached_tokens": counts.cached_tokens, "cache_write_tokens": 0},
                "output_tokens": counts.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
                "total_tokens": counts.prompt_tokens + counts.completion_tokens,
            },
        }
        yield self._event("response.incomplete" if cut else "response.completed", response=self.response)

    def error(self, error: MistralrsError) -> Iterator[bytes]:
        """End with an error."""
        _, text, _, code = errors.details(error)
        self.response |= {"status": "failed", "error": {"code": code or "server_error", "message": text}}
        yield self._event("response.failed", response=self.response)
