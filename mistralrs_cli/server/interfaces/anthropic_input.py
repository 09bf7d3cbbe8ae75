"""The conversation in a body of Anthropic's interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...messages import Media, MediaOptions, MediaRef, Message, Part, Text, ToolCall
from ...protocol.fields import instance, only, shown, wrong
from ...protocol.files import file_of
from ...protocol.history import HISTORY, arguments
from ...protocol.ignored_fields import ignore_field
from ...protocol.messages import part
from .schemas import AnthropicRequest

READABLE = ("text", "image", "document", "image_url", "audio_url", "video_url", "input_audio", "tool_use", "thinking")
"""Types of blocks in an assistant's message; others were made by a server and are ignored."""


def conversation(body: AnthropicRequest, media: MediaOptions) -> tuple[Message, ...]:
    """The messages of a body, with ``system`` before them. A tool's result becomes a message of its own."""
    turns: list[Message] = []
    if body.system is not None:
        turns.append(Message("system", tuple(blocks_of(body.system, "system", media))))
    if isinstance(body.messages, str):
        return (*turns, Message("user", (Text(body.messages),)))
    messages = instance(body.messages, list, "messages")
    if not messages:
        raise wrong("messages", "is empty.", "Send at least one message.")
    for index, value in enumerate(messages):
        turns += turn(value, f"messages[{index}]", media)
    return tuple(turns)


def turn(value: object, place: str, media: MediaOptions) -> Iterator[Message]:
    """One message as one or several, in order."""
    found = instance(value, dict, place)
    only(found, ("role", "content"), place)
    role = found.get("role")
    if role not in ("user", "assistant", "system"):
        raise wrong(f"{place}.role", f"is {shown(role)}.", "Use user or assistant.")
    parts: list[Part] = []
    calls: list[ToolCall] = []
    reasoning = ""
    content = found.get("content")
    if content is None and role == "assistant":
        content = ""
    items = [content] if isinstance(content, str) else instance(content, list, f"{place}.content")
    for index, item in enumerate(items):
        where = f"{place}.content[{index}]"
        match item:
            case {"type": "tool_result"}:
                only(item, ("type", "tool_use_id", "content", "is_error", "cache_control"), where)
                if parts:
                    yield Message(role, tuple(parts))
                    parts = []
                name = instance(item.get("tool_use_id"), str, f"{where}.tool_use_id")
                result = tuple(blocks_of(item.get("content") or "", f"{where}.content", media))
                yield Message("tool", result, tool_call_id=name)
            case {"type": "tool_use"}:
                only(item, ("type", "id", "name", "input", "cache_control", "caller", *HISTORY), where)
                name = instance(item.get("name"), str, f"{where}.name")
                calls.append(ToolCall(instance(item.get("id"), str, f"{where}.id"), name, arguments(item.get("input"))))
            case {"type": "thinking"}:
                only(item, ("type", "thinking", "signature", "cache_control", *HISTORY), where)
                reasoning += instance(item.get("thinking") or "", str, f"{where}.thinking")
            case {"type": "redacted_thinking"}:
                continue
            case {"type": str(kind)} if role == "assistant" and kind not in READABLE:
                ignore_field(f"{where}.type", f"is {shown(kind)}; nothing here can read it.", note=f"messages:{kind}")
            case _:
                parts.append(block(item, where, media))
    if parts or calls or reasoning or not items:
        yield Message(role, tuple(parts), tuple(calls), reasoning=reasoning)


def blocks_of(value: object, place: str, media: MediaOptions) -> Iterator[Part]:
    """A text, or a list of blocks."""
    if isinstance(value, str):
        yield Text(value)
        return
    for index, item in enumerate(instance(value, list, place)):
        yield block(item, f"{place}[{index}]", media)


def block(value: object, place: str, media: MediaOptions) -> Part:
    """A text or an image; parts of OpenAI's chat are taken as well, for audio and video."""
    match value:
        case str():
            return Text(value)
        case {"type": "text"} if isinstance(value, dict):
            only(value, ("type", "text", "cache_control", "citations"), place)
            return Text(instance(value.get("text"), str, f"{place}.text"))
        case {"type": "image", "source": dict(source)} if isinstance(value, dict):
            only(value, ("type", "source", "cache_control"), place)
            return image_of(source, place, media)
        case {"type": "document", "source": {"type": "text", "data": str(text)}} if isinstance(value, dict):
            only(value, ("type", "source", "title", "context", "citations", "cache_control"), place)
            return Text("\n".join([*(str(value[name]) for name in ("title", "context") if name in value), text]))
        case {"type": "document", "source": dict(source)} if isinstance(value, dict):
            only(value, ("type", "source", "title", "context", "citations", "cache_control"), place)
            return document_of(source, str(value.get("title") or ""), place, media)
        case {"type": "search_result", "content": list(found)} if isinstance(value, dict):
            texts = [inner.text for inner in blocks_of(found, f"{place}.content", media) if isinstance(inner, Text)]
            return Text("\n".join([*(str(value[name]) for name in ("title", "source") if name in value), *texts]))
        case {"type": "tool_reference", "tool_name": str(name)}:
            return Text(name)
    return part(value, place, media)


def image_of(source: Mapping[str, Any], place: str, media: MediaOptions) -> Media:
    """An image by its bytes or its URL."""
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


def document_of(source: Mapping[str, Any], title: str, place: str, media: MediaOptions) -> Part:
    """A PDF or text by its bytes or its URL."""
    if source.get("type") == "base64":
        only(source, ("type", "media_type", "data"), f"{place}.source")
        data = instance(source.get("data"), str, f"{place}.source.data")
        return file_of(data, title, place, media, str(source.get("media_type") or ""))
    return image_of(source, place, media)


def can_continue(turns: tuple[Message, ...]) -> bool:
    """Whether the last message is the assistant's and has text to continue."""
    last = turns[-1]
    return last.role == "assistant" and bool(last.text.strip()) and not last.tool_calls
