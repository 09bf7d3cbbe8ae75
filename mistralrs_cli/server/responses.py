"""``POST /v1/responses``: OpenAI's newer interface, over the same conversation."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import MistralrsError
from ..events import Done, Event, ReasoningDelta, TextDelta, TokenLogprobs
from ..messages import MediaOptions, Message, Text, ToolCall
from ..protocol import sampling, thinking_fields, tools
from ..protocol.answers import logprob_object
from ..protocol.fields import instance, only, shown, wrong
from ..protocol.messages import message, parts, tool_call
from ..protocol.reading import pass_over
from . import problems
from .answers import Answers
from .body import parse
from .question import Question
from .response_tools import Offered, item_of, model_name, offered
from .schemas import ResponsesRequest
from .service import Service
from .streaming import EventStreamResponse, event, unless_left

ITEM_FIELDS = ("type", "id", "status", "phase")
CALL_FIELDS = (*ITEM_FIELDS, "call_id", "name", "namespace", "caller", "async")
LOGPROBS = "message.output_text.logprobs"


async def respond(request: Request, service: Service) -> Response:
    """Answer one request."""
    asked = await parse(request, ResponsesRequest, service.options)
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
    known = offered(asked.tools)
    reasoning = None if asked.reasoning is None else asked.reasoning.model_dump(exclude_none=True)
    return Question(
        messages=conversation(asked, media, known),
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
            truncate_sequence=asked.truncation == "auto",
            logprobs=wants_logprobs(asked),
            top_logprobs=asked.top_logprobs if wants_logprobs(asked) else None,
            **thinking_fields(asked.enable_thinking, reasoning=reasoning),
        ),
        tools=tools([tool.definition for tool in known.values()], asked.tool_choice, asked.parallel_tool_calls),
    )


def wants_logprobs(asked: ResponsesRequest) -> bool:
    """Whether log probabilities of the answer are wanted, by either of two fields."""
    return bool(asked.top_logprobs) or LOGPROBS in (asked.include or ())


def conversation(asked: ResponsesRequest, media: MediaOptions, known: Mapping[str, Offered]) -> tuple[Message, ...]:
    """The items of ``input``, with ``instructions`` before them."""
    first = () if asked.instructions is None else (Message("system", (Text(asked.instructions),)),)
    if isinstance(asked.input, str):
        return (*first, Message("user", (Text(asked.input),)))
    items = instance(asked.input, list, "input")
    if not items and not first:
        raise wrong("input", "is empty.", "Say something.")
    turns: list[Message] = []
    for index, value in enumerate(items):
        turn = item(value, f"input[{index}]", media, known)
        if turn is None:
            continue
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


def item(value: object, place: str, media: MediaOptions, known: Mapping[str, Offered]) -> Message | None:
    """One item: a message, a call, the result of a call, or a thought. ``None`` for what a server did by itself."""
    found = instance(value, dict, place)
    kind = found.get("type", "message")
    match kind:
        case "message":
            return message({key: found[key] for key in found if key not in ITEM_FIELDS}, place, media)
        case "function_call":
            only(found, (*CALL_FIELDS, "arguments"), place)
            name = instance(found.get("name"), str, f"{place}.name")
            function = {"name": model_name(name, found.get("namespace"), known), "arguments": found.get("arguments")}
            return Message("assistant", (), (tool_call({"id": found.get("call_id"), "function": function}, place),))
        case "custom_tool_call":
            only(found, (*CALL_FIELDS, "input"), place)
            custom = {"name": found.get("name"), "input": found.get("input")}
            call = {"id": found.get("call_id"), "type": "custom", "custom": custom}
            return Message("assistant", (), (tool_call(call, place),))
        case "reasoning":
            only(found, (*ITEM_FIELDS, "summary", "content", "encrypted_content"), place)
            told = [instance(found.get(name) or [], list, f"{place}.{name}") for name in ("content", "summary")]
            texts = [instance(thought, dict, place).get("text") for thoughts in told for thought in thoughts]
            return Message("assistant", (), reasoning="".join(text for text in texts if isinstance(text, str)))
        case str() if kind.endswith("_output") and isinstance(found.get("call_id"), str):
            only(found, (*CALL_FIELDS, "output", "max_output_length"), place)
            said = found.get("output") or ""
            output = parts(said if isinstance(said, (str, list)) else json.dumps(said), f"{place}.output", media)
            return Message("tool", output, tool_call_id=found["call_id"])
        case str() if kind.endswith("_call") and isinstance(found.get("call_id"), str):
            inner = {key: found[key] for key in found if key not in CALL_FIELDS}
            function = {"name": kind.removesuffix("_call"), "arguments": inner}
            return Message("assistant", (), (tool_call({"id": found["call_id"], "function": function}, place),))
        case str() if kind.endswith(("_call", "_output", "_list_tools")) or kind in (
            "compaction",
            "compaction_summary",
        ):
            pass_over(
                f"{place}.type", f"is {shown(kind)}; only a server that made it can read it.", note=f"input:{kind}"
            )
            return None
    raise wrong(
        f"{place}.type",
        f"is {shown(kind)}.",
        "Items are message, function_call, function_call_output, custom_tool_call and reasoning.",
    )


class Output:
    """The response while it grows, and the events that tell of it."""

    def __init__(self, asked: ResponsesRequest, model: str) -> None:
        self.tools = offered(asked.tools)
        self.likely: list[dict[str, Any]] = []  # log probabilities of tokens whose text is still to come
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
