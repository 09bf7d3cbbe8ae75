"""``POST /v1/messages``: Anthropic's interface, over the same conversation."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import MistralrsError
from ..events import Done, Event, ReasoningDelta, TextDelta
from ..messages import Media, MediaOptions, Message, Part, Text, ToolCall
from ..options import Tools
from ..protocol import sampling, tools
from ..protocol.fields import instance, only, shown, wrong
from ..protocol.messages import part
from . import problems
from .answers import Answers
from .body import parse
from .question import Question
from .schemas import AnthropicRequest, CountRequest
from .service import Service
from .streaming import EventStreamResponse, event, unless_left

REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "canceled": "end_turn"}


async def answer(request: Request, service: Service) -> Response:
    """Answer one request."""
    asked = await parse(request, AnthropicRequest, service.options.body)
    service.check_model(asked.model)
    beginning = service.begin(request, lambda: question(asked, service.media_options))
    if asked.stream:
        answers = await unless_left(request, beginning)
        return EventStreamResponse(chunks(answers, service.name), answers.close)

    async def whole() -> dict[str, Any]:
        answers = await beginning
        blocks = Blocks(service.name)
        for happened in (await answers.all_events())[0]:
            for _ in blocks.feed(happened):
                pass
        return blocks.message

    return JSONResponse(await unless_left(request, whole()))


async def count(request: Request, service: Service) -> Response:
    """``POST /v1/messages/count_tokens``."""
    asked = await parse(request, CountRequest, service.options.body)
    service.check_model(asked.model)
    ids = await unless_left(request, service.tokens(request, lambda: question(asked, service.media_options)))
    return JSONResponse({"input_tokens": len(ids)})


def question(asked: AnthropicRequest, media: MediaOptions) -> Question:
    """What to ask."""
    return Question(
        messages=conversation(asked, media),
        sampling=sampling(
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            top_p=asked.top_p,
            top_k=asked.top_k,
            stop=asked.stop_sequences,
            enable_thinking=thinks(asked.thinking),
            response_format=form(asked.output_config or {}),
        ),
        tools=functions(asked),
    )


def form(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The form of the answer, by OpenAI's names."""
    only(config, ("format",), "output_config")
    wanted = config.get("format")
    if wanted is None:
        return None
    only(instance(wanted, dict, "output_config.format"), ("type", "schema"), "output_config.format")
    return {"type": wanted.get("type"), "json_schema": {"schema": wanted.get("schema")}}


def thinks(value: Mapping[str, Any] | None) -> bool | None:
    """Whether to think. How long is the model's to decide, so a budget is not taken for granted."""
    if value is None:
        return None
    only(value, ("type", "budget_tokens", "display"), "thinking")
    match value.get("type"):
        case "enabled":
            raise wrong("thinking", "with a budget cannot be kept to.", 'Use {"type": "adaptive"}.')
        case "adaptive":
            return True
        case "disabled":
            return False
        case other:
            raise wrong("thinking.type", f"is {shown(other)}.", "Use adaptive or disabled.")


def functions(asked: AnthropicRequest) -> Tools | None:
    """The tools, by OpenAI's names."""
    offered = []
    for index, tool in enumerate(asked.tools or []):
        place = f"tools[{index}]"
        if tool.get("type", "custom") != "custom":
            raise wrong(f"{place}.type", f"is {shown(tool['type'])}; this server runs no tools of its own.")
        only(tool, ("type", "name", "description", "input_schema", "cache_control"), place)
        function = {"name": tool.get("name"), "description": tool.get("description")}
        offered.append({"type": "function", "function": function | {"parameters": tool.get("input_schema")}})
    choice = asked.tool_choice or {}
    only(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    wanted: str | dict[str, Any] | None = choice.get("type")
    if wanted == "tool":
        wanted = {"type": "function", "function": {"name": choice.get("name")}}
    parallel = choice.get("disable_parallel_tool_use") is not True
    return tools(offered, wanted, parallel)


def conversation(asked: AnthropicRequest, media: MediaOptions) -> tuple[Message, ...]:
    """Its messages, with ``system`` before them. A result of a tool becomes a message of its own."""
    turns: list[Message] = []
    if asked.system is not None:
        turns.append(Message("system", tuple(blocks_of(asked.system, "system", media))))
    if isinstance(asked.messages, str):
        return (*turns, Message("user", (Text(asked.messages),)))
    messages = instance(asked.messages, list, "messages")
    if not messages:
        raise wrong("messages", "is empty.", "Say something.")
    for index, value in enumerate(messages):
        turns += turn(value, f"messages[{index}]", media)
    return tuple(turns)


def turn(value: object, place: str, media: MediaOptions) -> Iterator[Message]:
    """One message of theirs as one or several of ours, in their order."""
    found = instance(value, dict, place)
    only(found, ("role", "content"), place)
    role = found.get("role")
    if role not in ("user", "assistant", "system"):
        raise wrong(f"{place}.role", f"is {shown(role)}.", "Use user or assistant.")
    said: list[Part] = []
    calls: list[ToolCall] = []
    thought = ""
    content = found.get("content")
    items = [content] if isinstance(content, str) else instance(content, list, f"{place}.content")
    for index, item in enumerate(items):
        where = f"{place}.content[{index}]"
        match item:
            case {"type": "tool_result"}:
                only(item, ("type", "tool_use_id", "content", "is_error", "cache_control"), where)
                if said:
                    yield Message(role, tuple(said))
                    said = []
                name = instance(item.get("tool_use_id"), str, f"{where}.tool_use_id")
                result = tuple(blocks_of(item.get("content") or "", f"{where}.content", media))
                yield Message("tool", result, tool_call_id=name)
            case {"type": "tool_use"}:
                only(item, ("type", "id", "name", "input", "cache_control", "caller"), where)
                arguments = json.dumps(instance(item.get("input"), dict, f"{where}.input"), ensure_ascii=False)
                name = instance(item.get("name"), str, f"{where}.name")
                calls.append(ToolCall(instance(item.get("id"), str, f"{where}.id"), name, arguments))
            case {"type": "thinking"}:
                only(item, ("type", "thinking", "signature"), where)
                thought += instance(item.get("thinking"), str, f"{where}.thinking")
            case _:
                said.append(block(item, where, media))
    if said or calls or thought or not items:
        yield Message(role, tuple(said), tuple(calls), reasoning=thought)


def blocks_of(value: object, place: str, media: MediaOptions) -> Iterator[Part]:
    """A text, or a list of blocks."""
    if isinstance(value, str):
        yield Text(value)
        return
    for index, item in enumerate(instance(value, list, place)):
        yield block(item, f"{place}[{index}]", media)


def block(value: object, place: str, media: MediaOptions) -> Part:
    """A text or a picture; the parts of OpenAI's chat are taken as well, for sounds and clips."""
    match value:
        case str():
            return Text(value)
        case {"type": "text"} if isinstance(value, dict):
            only(value, ("type", "text", "cache_control", "citations"), place)
            return Text(instance(value.get("text"), str, f"{place}.text"))
        case {"type": "image", "source": dict(source)} if isinstance(value, dict):
            only(value, ("type", "source", "cache_control"), place)
            return picture(source, place, media)
    return part(value, place, media)


def picture(source: Mapping[str, Any], place: str, media: MediaOptions) -> Media:
    """A picture by its bytes or its address."""
    inner = f"{place}.source"
    match source.get("type"):
        case "base64":
            only(source, ("type", "media_type", "data"), inner)
            data = instance(source.get("data"), str, f"{inner}.data")
            return Media("image", f"data:image;base64,{data}", options=media, place=place)
        case "url":
            only(source, ("type", "url"), inner)
            return Media("image", instance(source.get("url"), str, f"{inner}.url"), options=media, place=place)
        case other:
            raise wrong(f"{inner}.type", f"is {shown(other)}.", "Use base64 or url.")


class Blocks:
    """The message while it grows, and the events that tell of it."""

    def __init__(self, model: str) -> None:
        self.open = False
        self.message: dict[str, Any] = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }

    def told(self, kind: str, **data: Any) -> bytes:
        """One event."""
        return event({"type": kind} | data, kind)

    def begin(self, prompt_tokens: int) -> bytes:
        """The message without content."""
        self.message["usage"]["input_tokens"] = prompt_tokens
        return self.told("message_start", message=self.message)

    def feed(self, happened: Event) -> Iterator[bytes]:
        """The events that one of the engine's means."""
        match happened:
            case TextDelta(text):
                yield from self._more({"type": "text", "text": ""}, {"type": "text_delta", "text": text})
                self.message["content"][-1]["text"] += text
            case ReasoningDelta(text):
                thought = {"type": "thinking", "thinking": "", "signature": ""}
                yield from self._more(thought, {"type": "thinking_delta", "thinking": text})
                self.message["content"][-1]["thinking"] += text
            case ToolCall(name, function, arguments):
                yield from self.close()
                empty: dict[str, Any] = {"type": "tool_use", "id": name, "name": function, "input": {}}
                yield from self._more(empty, {"type": "input_json_delta", "partial_json": arguments})
                self.message["content"][-1]["input"] = json.loads(arguments)
                yield from self.close()
            case Done():
                yield from self.close()
                yield from self._end(happened)

    def _more(self, empty: dict[str, Any], delta: dict[str, Any]) -> Iterator[bytes]:
        content = self.message["content"]
        if not self.open or content[-1]["type"] != empty["type"]:
            yield from self.close()
            content.append(empty)
            self.open = True
            yield self.told("content_block_start", index=len(content) - 1, content_block=empty)
        yield self.told("content_block_delta", index=len(content) - 1, delta=delta)

    def close(self) -> Iterator[bytes]:
        """End the block that is being written."""
        if self.open:
            self.open = False
            yield self.told("content_block_stop", index=len(self.message["content"]) - 1)

    def _end(self, done: Done) -> Iterator[bytes]:
        counts = done.usage
        self.message["stop_reason"] = "stop_sequence" if done.stop is not None else REASONS[done.reason]
        self.message["stop_sequence"] = done.stop
        self.message["usage"] = {
            "input_tokens": counts.prompt_tokens,
            "cache_read_input_tokens": counts.cached_tokens,
            "output_tokens": counts.completion_tokens,
        }
        ended = {"stop_reason": self.message["stop_reason"], "stop_sequence": done.stop}
        yield self.told("message_delta", delta=ended, usage=self.message["usage"])
        yield self.told("message_stop")


async def chunks(answers: Answers, model: str) -> AsyncGenerator[bytes]:
    """Server-sent events, each with its name."""
    blocks = Blocks(model)
    try:
        async with aclosing(answers.events()) as arriving:
            yield blocks.begin(answers.prompt_tokens)
            async for _, happened in arriving:
                for told in blocks.feed(happened):
                    yield told
    except MistralrsError as error:
        yield event(problems.body(error, problems.ANTHROPIC), "error")
