"""``POST /v1/responses``: OpenAI's newer interface, over the same conversation."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import MistralrsError
from ..events import Done, Event, ReasoningDelta, TextDelta
from ..messages import MediaOptions, Message, Text, ToolCall
from ..protocol import sampling, tools
from ..protocol.fields import instance, only, shown, wrong
from ..protocol.messages import message, parts, tool_call
from ..protocol.tools import definition
from . import problems
from .answers import Answers
from .body import parse
from .question import Question
from .schemas import ResponsesRequest
from .service import Service
from .streaming import EventStreamResponse, event, unless_left

ITEM_FIELDS = ("type", "id", "status")


async def respond(request: Request, service: Service) -> Response:
    """Answer one request."""
    asked = await parse(request, ResponsesRequest, service.options.body)
    service.check_model(asked.model)

    def convert() -> Question:
        return question(asked, service.media_options)

    beginning = service.begin(request, convert)
    if asked.stream:
        answers = await unless_left(request, beginning)
        return EventStreamResponse(chunks(answers, asked, service.name), answers.close)

    async def whole() -> dict[str, Any]:
        answers = await beginning
        output = Output(asked, service.name)
        for item in (await answers.all_events())[0]:
            for _ in output.feed(item):
                pass
        return output.response

    return JSONResponse(await unless_left(request, whole()))


def question(asked: ResponsesRequest, media: MediaOptions) -> Question:
    """What to ask."""
    form = asked.text.format if asked.text is not None and asked.text.format is not None else {"type": "text"}
    if form.get("type") == "json_schema":  # flat here, nested in chat completions
        form = {"type": "json_schema", "json_schema": {key: form[key] for key in form if key != "type"}}
    offered = [nested(tool, f"tools[{index}]") for index, tool in enumerate(asked.tools or [])]
    return Question(
        messages=conversation(asked, media),
        sampling=sampling(
            max_tokens=asked.max_output_tokens,
            temperature=asked.temperature,
            top_p=asked.top_p,
            top_k=asked.top_k,
            min_p=asked.min_p,
            repetition_penalty=asked.repetition_penalty,
            seed=asked.seed,
            response_format=form,
            grammar=asked.grammar,
            reasoning_effort=asked.reasoning.effort if asked.reasoning is not None else None,
            truncate_sequence=asked.truncation == "auto",
        ),
        tools=tools(offered, asked.tool_choice, asked.parallel_tool_calls),
    )


def nested(tool: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A function as chat completions have it."""
    if tool.get("type") != "function":
        raise wrong(f"{place}.type", f"is {shown(tool.get('type'))}; only function is known.")
    return definition(tool if "function" in tool else {"type": "function", "function": flat(tool)}, place)


def flat(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A function's own fields."""
    return {key: value for key, value in tool.items() if key != "type"}


def conversation(asked: ResponsesRequest, media: MediaOptions) -> tuple[Message, ...]:
    """The items of ``input``, with ``instructions`` before them."""
    first = () if asked.instructions is None else (Message("system", (Text(asked.instructions),)),)
    if isinstance(asked.input, str):
        return (*first, Message("user", (Text(asked.input),)))
    items = instance(asked.input, list, "input")
    if not items:
        raise wrong("input", "is empty.", "Say something.")
    turns: list[Message] = []
    for index, value in enumerate(items):
        turn = item(value, f"input[{index}]", media)
        if turn.role == "assistant" and turns and turns[-1].role == "assistant":
            last = turns.pop()
            turn = replace(
                turn,
                parts=last.parts + turn.parts,
                tool_calls=last.tool_calls + turn.tool_calls,
                reasoning=last.reasoning + turn.reasoning,
            )
        turns.append(turn)
    return (*first, *turns)


def item(value: object, place: str, media: MediaOptions) -> Message:
    """One item: a message, a call, the result of a call, or a thought."""
    found = instance(value, dict, place)
    match found.get("type", "message"):
        case "message":
            return message({key: found[key] for key in found if key not in ITEM_FIELDS}, place, media)
        case "function_call":
            only(found, (*ITEM_FIELDS, "call_id", "name", "arguments"), place)
            function = {"name": found.get("name"), "arguments": found.get("arguments")}
            return Message("assistant", (), (tool_call({"id": found.get("call_id"), "function": function}, place),))
        case "function_call_output":
            only(found, (*ITEM_FIELDS, "call_id", "output"), place)
            call = instance(found.get("call_id"), str, f"{place}.call_id")
            return Message("tool", parts(found.get("output"), f"{place}.output", media), tool_call_id=call)
        case "reasoning":
            only(found, (*ITEM_FIELDS, "summary", "content", "encrypted_content"), place)
            told = [instance(found.get(name) or [], list, f"{place}.{name}") for name in ("content", "summary")]
            texts = [instance(thought, dict, place).get("text") for thoughts in told for thought in thoughts]
            return Message("assistant", (), reasoning="".join(text for text in texts if isinstance(text, str)))
        case other:
            raise wrong(
                f"{place}.type",
                f"is {shown(other)}.",
                "Items are message, function_call, function_call_output and reasoning.",
            )


class Output:
    """The response while it grows, and the events that tell of it."""

    def __init__(self, asked: ResponsesRequest, model: str) -> None:
        self.number = -1
        self.open: dict[str, Any] | None = None  # the item that text goes into
        self.response: dict[str, Any] = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "metadata": asked.metadata or {},
            "model": model,
            "output": [],
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": asked.reasoning.effort if asked.reasoning else None, "summary": None},
            "store": False,
            "temperature": asked.temperature,
            "text": {"format": (asked.text.format if asked.text else None) or {"type": "text"}},
            "tool_choice": asked.tool_choice or "auto",
            "tools": asked.tools or [],
            "top_p": asked.top_p,
            "truncation": asked.truncation or "disabled",
            "usage": None,
        }

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
        more: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
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
        more: dict[str, Any] = {"logprobs": []} if done["type"] == "message" else {}
        kind = content["type"]
        yield self.told(f"response.{kind}.done", **self._place(), content_index=0, text=content["text"], **more)
        yield self.told("response.content_part.done", **self._place(), content_index=0, part=content)
        yield self.told("response.output_item.done", output_index=self._place()["output_index"], item=done)

    def _call(self, call: ToolCall) -> Iterator[bytes]:
        made: dict[str, Any] = {
            "type": "function_call",
            "id": f"fc_{uuid.uuid4().hex}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        self.response["output"].append(made)
        index = self._place()["output_index"]
        yield self.told(
            "response.output_item.added", output_index=index, item=made | {"arguments": "", "status": "in_progress"}
        )
        yield self.told("response.function_call_arguments.delta", **self._place(), delta=call.arguments)
        yield self.told(
            "response.function_call_arguments.done", **self._place(), name=call.name, arguments=call.arguments
        )
        yield self.told("response.output_item.done", output_index=index, item=made)

    def _end(self, done: Done) -> Iterator[bytes]:
        cut = done.reason == "length"
        counts = done.usage
        self.response |= {
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": {
                "input_tokens": counts.prompt_tokens,
                "input_tokens_details": {"cached_tokens": counts.cached_tokens},
                "output_tokens": counts.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
                "total_tokens": counts.prompt_tokens + counts.completion_tokens,
            },
        }
        yield self.told("response.incomplete" if cut else "response.completed", response=self.response)

    def fail(self, error: MistralrsError) -> Iterator[bytes]:
        """End with an error."""
        _, text, _, code = problems.problem(error)
        self.response |= {"status": "failed", "error": {"code": code or "server_error", "message": text}}
        yield self.told("response.failed", response=self.response)


async def chunks(answers: Answers, asked: ResponsesRequest, model: str) -> AsyncGenerator[bytes]:
    """Server-sent events, each with its name."""
    output = Output(asked, model)
    for told in output.begin():
        yield told
    try:
        async with aclosing(answers.events()) as arriving:
            async for _, happened in arriving:
                for told in output.feed(happened):
                    yield told
    except MistralrsError as error:
        for told in output.fail(error):
            yield told
