"""OpenAI's messages to ours, part by part and in order. Nothing is fetched or decoded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import MediaDecodeError
from ..messages import Media, MediaBytes, MediaOptions, MediaRef, Message, Modality, Part, Role, Text, ToolCall
from .base64 import from_base64
from .fields import instance, number, only, shown, wrong
from .files import file_part
from .history import HISTORY, arguments, is_reasoning, reasoning
from .tools import INPUT

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id", "refusal")
HARMLESS = ("annotations", "cache_control", "id", "uuid")  # what other services return, or hints to their caches
TEXTS = ("text", "input_text", "output_text")
URLS: dict[str, Modality] = {
    "image_url": "image",
    "input_image": "image",
    "audio_url": "audio",
    "video_url": "video",
    "input_video": "video",
}
OPTIONS: dict[Modality, tuple[str, ...]] = {
    "image": ("detail", "max_edge", "pages", "dpi", "page_text"),
    "audio": (),
    "video": ("fps", "num_frames", "start", "end", "max_edge", "soundtrack"),
}
DECLARED = ("format", "media_type", "mime_type")  # what a medium is said to be; its bytes tell
BOUNDS = ("min_pixels", "max_pixels", "total_pixels")  # would change what the model sees, and are not supported
LOW_DETAIL = 512  # pixels of the longer edge; what OpenAI's own models get for ``"detail": "low"``


Reader = Callable[[object, str], Part | None]
"""Reads parts that are no JSON, given the value and its place; ``None`` where it is nothing of its own."""


def conversation(
    value: object, defaults: MediaOptions | None = None, place: str = "messages", own: Reader | None = None
) -> tuple[Message, ...]:
    """A request's ``messages``: a list of objects, or one text as the user's.

    ``defaults`` are the options of media that name none of their own; ``own`` reads what only a program can hand in,
    before anything else does. Raises ``OptionError`` with ``param`` for
    whatever is not understood, so that nothing is dropped, and ``MediaDecodeError`` for broken base64.
    """
    if isinstance(value, str):
        return (Message("user", (Text(value),)),)
    turns = instance(value, list, place)
    if not turns:
        raise wrong(place, "is empty.", 'Send a message: {"role": "user", "content": "…"}')
    options = defaults or MediaOptions()
    return tuple(message(turn, f"{place}[{index}]", options, own) for index, turn in enumerate(turns))


def message(value: object, place: str, defaults: MediaOptions, own: Reader | None = None) -> Message:
    """One turn."""
    turn = instance(value, dict, place)
    only(turn, (*MESSAGE_FIELDS, *HARMLESS, *(HISTORY if turn.get("role") == "assistant" else ())), place)
    role = ROLES.get(turn["role"]) if isinstance(turn.get("role"), str) else None
    if role is None:
        raise wrong(
            f"{place}.role", f"is {shown(turn.get('role'))}.", "Use system, developer, user, assistant or tool."
        )
    content = turn.get("content")
    if content is None:
        content = turn.get("refusal") or ""
        if role not in ("assistant", "tool"):
            raise wrong(f"{place}.content", "is missing.", "It is a text, or a list of parts.")
    said = parts(content, f"{place}.content", defaults, own, role)
    return Message(
        role=role,
        parts=said,
        tool_calls=tool_calls(turn, place),
        tool_call_id=optional_text(turn, "tool_call_id", place),
        name=optional_text(turn, "name", place),
        reasoning=reasoning(turn, content) if role == "assistant" else "",
    )


def tool_calls(turn: Mapping[str, Any], place: str) -> tuple[ToolCall, ...]:
    """The calls of an assistant's turn; the older interface had one, without an id."""
    calls = instance(turn.get("tool_calls") or [], list, f"{place}.tool_calls")
    found = [tool_call(call, f"{place}.tool_calls[{index}]") for index, call in enumerate(calls)]
    if not found and turn.get("role") == "assistant" and isinstance(turn.get("function_call"), dict):
        found = [tool_call({"function": turn["function_call"]}, f"{place}.function_call")]
    return tuple(found)


def parts(
    content: object, place: str, defaults: MediaOptions, own: Reader | None = None, role: Role = "user"
) -> tuple[Part, ...]:
    """A message's content: a text, or typed parts in the order in which the model gets them.

    What an assistant thought is no part of what it said.
    """
    if isinstance(content, str):
        return (Text(content),) if content else ()
    items = enumerate(instance(content, list, place))
    return tuple(
        part(item, f"{place}[{index}]", defaults, own)
        for index, item in items
        if role != "assistant" or not is_reasoning(item)
    )


def part(value: object, place: str, defaults: MediaOptions, own: Reader | None = None) -> Part:
    """One part."""
    if own is not None and (found := own(value, place)) is not None:
        return found
    if isinstance(value, str):
        return Text(value)
    item = instance(value, dict, place)
    kind = item.get("type")
    if kind in TEXTS:
        only(item, ("type", "text", *HARMLESS, "logprobs", "citations"), place)
        return Text(instance(item.get("text"), str, f"{place}.text"))
    if kind == "refusal":
        only(item, ("type", "refusal"), place)
        return Text(instance(item.get("refusal"), str, f"{place}.refusal"))
    if kind == "input_audio":
        only(item, ("type", "input_audio", *HARMLESS), place)
        return input_audio(item.get("input_audio"), place)
    if kind in ("file", "input_file"):
        return file_part(item, place, defaults)
    if isinstance(kind, str) and kind in URLS:
        return linked(item, kind, place, defaults)
    raise wrong(
        f"{place}.type",
        f"is {shown(kind)}." if kind is not None else "is missing.",
        "Parts are text, image_url, audio_url, video_url, input_audio and file.",
    )


def linked(item: Mapping[str, Any], kind: str, place: str, defaults: MediaOptions) -> Media:
    """A medium by its address: ``{"type": "image_url", "image_url": {"url": …}}``, or the address itself."""
    modality = URLS[kind]
    field = f"{modality}_url"
    known = (*OPTIONS[modality], *DECLARED, *BOUNDS, *HARMLESS)
    only(item, ("type", field, *known), place)
    value = item.get(field)
    inner = f"{place}.{field}"
    settings = {name: item[name] for name in OPTIONS[modality] + BOUNDS if item.get(name) not in (None, "")}
    if isinstance(value, dict):
        only(value, ("url", *known), inner)
        settings |= {name: value[name] for name in OPTIONS[modality] + BOUNDS if value.get(name) not in (None, "")}
        value = value.get("url")
        inner += ".url"
    source = instance(value, str, inner)
    if not source.strip():
        raise wrong(inner, "is empty.", "Give a path, file://, http(s):// or data: address, or base64.")
    return MediaRef(modality, source, options=media_options(settings, place, defaults), place=place)


def media_options(settings: Mapping[str, Any], place: str, defaults: MediaOptions) -> MediaOptions:
    """How one medium is read; what it does not say is the server's default."""
    if not settings:
        return defaults
    options = defaults
    for name, value in settings.items():
        field = f"{place}.{name}"
        match name:
            case "detail":
                if value not in ("low", "high", "auto", "original"):
                    raise wrong(field, f"is {shown(value)}.", "Use low, high or auto.")
                if value == "low":
                    options = replace(options, max_edge=min(options.max_edge or LOW_DETAIL, LOW_DETAIL))
            case "min_pixels" | "max_pixels" | "total_pixels":
                raise wrong(field, "is not supported.", "Use max_edge, the most pixels of the longer edge.")
            case "max_edge":
                edge = int(number(value, field, low=1, whole=True))
                options = replace(options, max_edge=min(options.max_edge or edge, edge))
            case "pages":
                options = replace(options, pages=str(value))
            case "dpi":
                options = replace(options, dpi=int(number(value, field, low=20, whole=True)))
            case "page_text":
                options = replace(options, page_text=instance(value, bool, field) or None)
            case "soundtrack":
                options = replace(options, soundtrack=instance(value, bool, field) or None)
            case "num_frames":
                options = replace(options, frames=int(number(value, field, low=1, whole=True)))
            case "fps":
                if not number(value, field):
                    raise wrong(field, "must be above 0.")
                options = replace(options, fps=float(value))
            case "start":
                options = replace(options, start=float(number(value, field)))
            case _:
                options = replace(options, end=float(number(value, field)))
    if options.frames is not None and options.fps is not None:
        raise wrong(place, "has both num_frames and fps; they exclude each other.")
    if options.end is not None and options.end <= (options.start or 0.0):
        raise wrong(f"{place}.end", f"is {options.end:g}, which is not after its start.", "Both are in seconds.")
    return options


def input_audio(value: object, place: str) -> Media:
    """OpenAI's audio in base64. Its bytes tell its format, whatever ``format`` says."""
    sound = instance(value, dict, f"{place}.input_audio")
    only(sound, ("data", *DECLARED), f"{place}.input_audio")
    text = instance(sound.get("data"), str, f"{place}.input_audio.data")
    if text[:5].lower() == "data:":
        return MediaRef("audio", text, place=place)
    try:
        data = from_base64(text)
    except ValueError as error:
        raise MediaDecodeError("data is not valid base64.", "Encode the whole file.").at(place) from error
    if not data:
        raise MediaDecodeError("data is empty.", "Encode the whole file.").at(place)
    return MediaBytes("audio", "input_audio", data=data, place=place)


def tool_call(value: object, place: str) -> ToolCall:
    """A call the assistant made earlier; of a tool that takes free text, with that as its one argument."""
    call = instance(value, dict, place)
    only(call, ("id", "type", "function", "index", *HISTORY), place)
    if call.get("type") == "custom" and isinstance(custom := call.get("custom"), dict):
        named = {"name": custom.get("name"), "arguments": {INPUT: str(custom.get("input") or "")}}
        return tool_call({"id": call.get("id"), "function": named}, place)
    if call.get("type", "function") != "function":
        raise wrong(f"{place}.type", f"is {shown(call['type'])}; only function is known.")
    function = instance(call.get("function"), dict, f"{place}.function")
    only(function, ("name", "arguments", "parsed_arguments", *HISTORY), f"{place}.function")
    name = instance(function.get("name"), str, f"{place}.function.name")
    return ToolCall(optional_text(call, "id", place) or "", name, arguments(function.get("arguments")))


def optional_text(value: Mapping[str, Any], name: str, place: str) -> str | None:
    """A field that may be missing or null."""
    found = value.get(name)
    return None if found is None else instance(found, str, f"{place}.{name}")
