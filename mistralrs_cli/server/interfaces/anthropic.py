"""``POST /v1/messages``: Anthropic's interface, over the same conversation."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import MistralrsError
from ...events import Done, Event, ReasoningDelta, Started, TextDelta
from ...messages import Media, MediaOptions, MediaRef, Message, Part, Text, ToolCall
from ...options import Tools
from ...protocol import sampling, thinking_fields, tools
from ...protocol.fields import instance, only, shown, wrong
from ...protocol.history import HISTORY, arguments
from ...protocol.ignored_fields import ignore_field
from ...protocol.messages import optional_text, part
from ...protocol.tools import HINTS
from ..generation_request import GenerationRequest
from ..http import errors
from ..http.body import parse
from ..http.sse import EventStreamResponse, cancel_on_disconnect, event
from ..response_streams import ResponseStreams
from ..service import Service
from .schemas import AnthropicRequest, CountRequest

SAID = ("text", "image", "document", "image_url", "audio_url", "video_url", "input_audio", "tool_use", "thinking")
UNUSED: dict[str, Any] = dict.fromkeys(
    ("cache_creation", "inference_geo", "output_tokens_details", "server_tool_use", "service_tier")
)
REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "canceled": "end_turn"}


async def answer(request: Request, service: Service) -> Response:
    """Answer one request."""
    body = await parse(request, AnthropicRequest, service.options)
    service.check_model(body.model)
    beginning = service.begin(request, lambda: question(body, service.media_options))
    if body.stream:
        answers = await cancel_on_disconnect(request, beginning)
        return EventStreamResponse(chunks(answers, service.name), answers.close)

    async def whole() -> dict[str, Any]:
        answers = await beginning
        blocks = Blocks(service.name)
        for happened in (await answers.all_events())[0]:
            for _ in blocks.feed(happened):
                pass
        return blocks.message

    return JSONResponse(await cancel_on_disconnect(request, whole()))


async def count(request: Request, service: Service) -> Response:
    """``POST /v1/messages/count_tokens``."""
    body = await parse(request, CountRequest, service.options)
    service.check_model(body.model)
    ids = await cancel_on_disconnect(request, service.tokens(request, lambda: question(body, service.media_options)))
    return JSONResponse({"input_tokens": len(ids)})


def question(body: AnthropicRequest, media: MediaOptions) -> GenerationRequest:
    """What to ask. A last turn by the assistant is gone on with."""
    turns = conversation(body, media)
    config = body.output_config or {}
    return GenerationRequest(
        messages=turns,
        sampling=sampling(
            max_tokens=body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            stop=body.stop_sequences,
            response_format=form(body.output_config or {}),
            turn="open" if can_go_on(turns) else "new",
            **thinking_fields(effort=optional_text(config, "effort", "output_config"), thinking=body.thinking),
        ),
        tools=functions(body),
    )


def form(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The form of the answer, by OpenAI's names."""
    only(config, ("format", "effort", "task_budget"), "output_config")
    wanted = config.get("format")
    if wanted is None:
        return None
    only(instance(wanted, dict, "output_config.format"), ("type", "schema"), "output_config.format")
    return {"type": wanted.get("type"), "json_schema": {"schema": wanted.get("schema")}}


def functions(body: AnthropicRequest) -> Tools | None:
    """The tools, by OpenAI's names."""
    offered = []
    for index, tool in enumerate(body.tools or []):
        place = f"tools[{index}]"
        kind = tool.get("type", "custom")
        if kind != "custom":
            told = f"is {shown(kind)}; this server runs no tools of its own."
            ignore_field(f"{place}.type", told, note=f"{place}:{kind}")
            continue
        only(tool, ("type", "name", "description", "input_schema", "eager_input_streaming", *HINTS), place)
        function = {"name": tool.get("name"), "description": tool.get("description")}
        function |= {"parameters": tool.get("input_schema"), "strict": tool.get("strict")}
        offered.append({"type": "function", "function": function})
    choice = body.tool_choice or {}
    only(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    wanted: str | dict[str, Any] | None = choice.get("type")
    if wanted == "tool":
        wanted = {"type": "function", "function": {"name": choice.get("name")}}
    parallel = choice.get("disable_parallel_tool_use") is not True
    return tools(offered, wanted, parallel)


def conversation(body: AnthropicRequest, media: MediaOptions) -> tuple[Message, ...]:
    """Its messages, with ``system`` before them. A result of a tool becomes a message of its own."""
    turns: list[Message] = []
    if body.system is not None:
        turns.append(Message("system", tuple(blocks_of(body.system, "system", media))))
    if isinstance(body.messages, str):
        return (*turns, Message("user", (Text(body.messages),)))
    messages = instance(body.messages, list, "messages")
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
    if content is None and role == "assistant":
        content = ""
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
                only(item, ("type", "id", "name", "input", "cache_control", "caller", *HISTORY), where)
                name = instance(item.get("name"), str, f"{where}.name")
                calls.append(ToolCall(instance(item.get("id"), str, f"{where}.id"), name, arguments(item.get("input"))))
            case {"type": "thinking"}:
                only(item, ("type", "thinking", "signature", "cache_control", *HISTORY), where)
                thought += instance(item.get("thinking") or "", str, f"{where}.thinking")
            case {"type": "redacted_thinking"}:
                continue
            case {"type": str(kind)} if role == "assistant" and kind not in SAID:
                ignore_field(f"{where}.type", f"is {shown(kind)}; nothing here can read it.", note=f"messages:{kind}")
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
        case {"type": "document", "source": {"type": "text", "data": str(text)}} if isinstance(value, dict):
            only(value, ("type", "source", "title", "context", "citations", "cache_control"), place)
            return Text("\n".join([*(str(value[name]) for name in ("title", "context") if name in value), text]))
        case {"type": "search_result", "content": list(found)} if isinstance(value, dict):
            told = [part.text for part in blocks_of(found, f"{place}.content", media) if isinstance(part, Text)]
            return Text("\n".join([*(str(value[name]) for name in ("title", "source") if name in value), *told]))
        case {"type": "tool_reference", "tool_name": str(name)}:
            return Text(name)
    return part(value, place, media)


def picture(source: Mapping[str, Any], place: str, media: MediaOptions) -> Media:
    """A picture by its bytes or its address."""
    inner = f"{place}.source"
    match source.get("type"):
        case "base64":
            only(source, ("type", "media_type", "data"), inner)
            data = instance(source.get("data"), str, f"{inner}.data")
            return MediaRef("image", f"data:image;base64,{data}", options=media, place=place)
        case "url":
            only(source, ("type", "url"), inner)
            return MediaRef("image", instance(source.get("url"), str, f"{inner}.url"), options=media, place=place)
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
            "stop_details": None,
            "container": None,
            "usage": UNUSED | {"input_tokens": 0, "output_tokens": 0},
        }

    def told(self, kind: str, **data: Any) -> bytes:
        """One event."""
        return event({"type": kind} | data, kind)

    def begin(self, prompt_tokens: int, cached: int) -> bytes:
        """The message without content."""
        self.message["usage"] |= input_usage(prompt_tokens, cached)
        return self.told("message_start", message=self.message)

    def feed(self, happened: Event) -> Iterator[bytes]:
        """The events that one of the engine's means."""
        match happened:
            case TextDelta(text):
                yield from self._more(
                    {"type": "text", "text": "", "citations": None}, {"type": "text_delta", "text": text}
                )
                self.message["content"][-1]["text"] += text
            case ReasoningDelta(text):
                thought = {"type": "thinking", "thinking": "", "signature": ""}
                yield from self._more(thought, {"type": "thinking_delta", "thinking": text})
                self.message["content"][-1]["thinking"] += text
            case ToolCall(name, function, written):
                yield from self.close()
                empty: dict[str, Any] = {"type": "tool_use", "id": name, "name": function, "input": {}}
                empty["caller"] = {"type": "direct"}
                yield from self._more(empty, {"type": "input_json_delta", "partial_json": written})
                self.message["content"][-1]["input"] = json.loads(arguments(written))  # a call may have been cut
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
        used = input_usage(counts.prompt_tokens, counts.cached_tokens) | {
            "output_tokens": counts.completion_tokens,
            "output_tokens_details": {"thinking_tokens": counts.reasoning_tokens},
            "server_tool_use": None,
        }
        self.message["usage"] |= used
        names = ("stop_reason", "stop_sequence", "stop_details", "container")
        yield self.told("message_delta", delta={name: self.message[name] for name in names}, usage=used)
        yield self.told("message_stop")


def input_usage(prompt: int, cached: int) -> dict[str, int]:
    """The tokens of a prompt as Anthropic counts them: what was kept from before is not part of ``input_tokens``."""
    return {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }


def can_go_on(turns: tuple[Message, ...]) -> bool:
    """Whether the last turn is the assistant's and has text to go on with."""
    last = turns[-1]
    return last.role == "assistant" and bool(last.text.strip()) and not last.tool_calls


async def chunks(answers: ResponseStreams, model: str) -> AsyncGenerator[bytes]:
    """Server-sent events, each with its name."""
    blocks = Blocks(model)
    try:
        async with aclosing(answers.events()) as arriving:
            begun = False
            async for _, happened in arriving:
                if isinstance(happened, Started):
                    continue
                if not begun:  # only once the prompt has been read is it known how much of it was kept from before
                    begun = True
                    yield blocks.begin(answers.prompt_tokens, answers.cached_tokens)
                for told in blocks.feed(happened):
                    yield told
    except MistralrsError as error:
        yield event(errors.body(error, errors.ANTHROPIC), "error")
