"""A response of ``/v1/responses`` while it grows: its items, and the events that tell of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import MistralrsError
from ...events import Done, Event, ReasoningDelta, TextDelta, TokenLogprobs
from ...messages import ToolCall
from ...protocol.answers import logprob_object
from ..http import errors
from ..http.sse import event
from .response_tools import item_of, offered
from .schemas import ResponsesRequest


def told_back(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as a response tells of it: of a function, what was not said is null."""
    unsaid = {"description": None, "parameters": None, "strict": None} if tool.get("type") == "function" else {}
    return unsaid | dict(tool)


def text_or_none(value: object) -> str | None:
    """A hint that is told back, if it is of its type."""
    return value if isinstance(value, str) else None


def whole_or_none(value: object) -> int | None:
    """A hint that is told back, if it is of its type."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Output:
    """The response while it grows, and the events that tell of it. ``drawing`` is its temperature and top-p."""

    def __init__(self, body: ResponsesRequest, model: str, drawing: tuple[float, float]) -> None:
        self.tools = offered(body.tools)
        self.likely: list[dict[str, Any]] = []  # log probabilities of tokens whose text is still to come
        self.number = -1
        self.open: dict[str, Any] | None = None  # the item that text goes into
        self.response: dict[str, Any] = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "completed_at": None,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "max_tool_calls": whole_or_none(body.max_tool_calls),
            "metadata": body.metadata or {},
            "model": model,
            "output": [],
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": None,
            "presence_penalty": body.presence_penalty or 0.0,
            "frequency_penalty": body.frequency_penalty or 0.0,
            "prompt_cache_key": text_or_none(body.prompt_cache_key),
            "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
            "safety_identifier": text_or_none(body.safety_identifier),
            "service_tier": "default",
            "store": False,
            "temperature": drawing[0],
            "text": {"format": (body.text.format if body.text else None) or {"type": "text"}},
            "tool_choice": body.tool_choice or "auto",
            "tools": [told_back(tool) for tool in body.tools or []],
            "top_logprobs": body.top_logprobs or 0,
            "top_p": drawing[1],
            "truncation": body.truncation or "disabled",
            "usage": None,
        } | ({"user": body.user} if isinstance(body.user, str) else {})

    def told(self, kind: str, **data: Any) -> bytes:
        """One event."""
        self.number += 1
        return event({"type": kind, "sequence_number": self.number} | data, kind)

    def begin(self) -> Iterator[bytes]:
        """What comes before any answer."""
        yield self.told("response.created", response=self.response)
        yield self.told("response.in_progress", response=self.response)

    def feed(self, happened: Event) -> Iterator[bytes]:
        """The events that one of the engine's means."""
        match happened:
            case TokenLogprobs():
                self.likely.append(logprob_object(happened))
            case TextDelta(text):
                yield from self._text("message", "output_text", text)
            case ReasoningDelta(text):
                yield from self._text("reasoning", "reasoning_text", text)
            case ToolCall():
                yield from self.close()
                yield from self._call(happened)
            case Done():
                yield from self.close()
                yield from self._end(happened)

    def _place(self) -> dict[str, Any]:
        return {"output_index": len(self.response["output"]) - 1, "item_id": self.response["output"][-1]["id"]}

    def _text(self, kind: str, part: str, text: str) -> Iterator[bytes]:
        if self.open is None or self.open["type"] != kind:
            yield from self.close()
            self.open = self._new(kind)
            yield self.told(
                "response.output_item.added", output_index=self._place()["output_index"], item=dict(self.open)
            )
            content: dict[str, Any] = {"type": part, "text": ""}
            if kind == "message":
                content |= {"annotations": [], "logprobs": []}
            yield self.told("response.content_part.added", **self._place(), content_index=0, part=dict(content))
            self.open["content"] = [content]
        self.open["content"][0]["text"] += text
        more: dict[str, Any] = {}
        if kind == "message":
            more["logprobs"], self.likely = self.likely, []
            self.open["content"][0]["logprobs"] += more["logprobs"]
        yield self.told(f"response.{part}.delta", **self._place(), content_index=0, delta=text, **more)

    def _new(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {"type": kind, "status": "in_progress", "content": []}
        if kind == "message":
            found |= {"id": f"msg_{uuid.uuid4().hex}", "role": "assistant"}
        else:
            found |= {"id": f"rs_{uuid.uuid4().hex}", "summary": []}
        self.response["output"].append(found)
        return found

    def close(self) -> Iterator[bytes]:
        """End the item that is being written."""
        if self.open is None:
            return
        done, self.open = self.open, None
        content = done["content"][0]
        done["status"] = "completed"
        more: dict[str, Any] = {"logprobs": content["logprobs"]} if done["type"] == "message" else {}
        kind = content["type"]
        yield self.told(f"response.{kind}.done", **self._place(), content_index=0, text=content["text"], **more)
        yield self.told("response.content_part.done", **self._place(), content_index=0, part=content)
        yield self.told("response.output_item.done", output_index=self._place()["output_index"], item=done)

    def _call(self, call: ToolCall) -> Iterator[bytes]:
        made = item_of(call, self.tools, uuid.uuid4().hex)
        self.response["output"].append(made)
        index = self._place()["output_index"]
        part, kind = (
            ("input", "custom_tool_call_input") if "input" in made else ("arguments", "function_call_arguments")
        )
        named = {} if "input" in made else {"name": made["name"]}
        yield self.told(
            "response.output_item.added", output_index=index, item=made | {part: "", "status": "in_progress"}
        )
        yield self.told(f"response.{kind}.delta", **self._place(), delta=made[part])
        yield self.told(f"response.{kind}.done", **self._place(), **named, **{part: made[part]})
        yield self.told("response.output_item.done", output_index=index, item=made)

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
        yield self.told("response.incomplete" if cut else "response.completed", response=self.response)

    def fail(self, error: MistralrsError) -> Iterator[bytes]:
        """End with an error."""
        _, text, _, code = errors.problem(error)
        self.response |= {"status": "failed", "error": {"code": code or "server_error", "message": text}}
        yield self.told("response.failed", response=self.response)
