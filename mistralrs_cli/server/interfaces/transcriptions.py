"""``POST /v1/audio/transcriptions``: the words of a sound, by a model that hears."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ...errors import MistralrsError, OptionError
from ...events import TextDelta, collect
from ...families import Family
from ...messages import Media, MediaBytes, Message, Text
from ...protocol import sampling, usage
from ...protocol.ignored_fields import ignore_field
from ..generation_request import GenerationRequest
from ..http import errors
from ..http.body import note_fields, read
from ..http.sse import EventStreamResponse, cancel_on_disconnect, event
from ..response_streams import ResponseStreams
from ..service import Service

FIELDS = ("file", "model", "prompt", "language", "response_format", "temperature", "stream", "seed", "max_tokens")
HINTS = ("chunking_strategy", "include[]", "include", "timestamp_granularities[]", "timestamp_granularities", "user")
"""Taken, and without effect: sounds are never cut, and there are no times of words in ``json`` and ``text``."""
FORMS = ("json", "text")
EMPTY = ("", "null", "[]", "{}")  # what says nothing
MOST_FIELDS = 32


async def transcribe(request: Request, service: Service) -> Response:
    """Answer one request."""
    note_fields(request, service.options)
    sound, fields = await form(request, service.options.body)
    service.check_model(fields.get("model"))
    shape = fields.get("response_format", "json")
    if shape not in FORMS:
        raise OptionError(
            f"response_format is {shape!r}; there are no times of words.", "Use json or text.", param="response_format"
        )
    streamed = fields.get("stream", "false").lower()
    if streamed not in ("true", "false"):
        raise OptionError("stream must be true or false.", param="stream")
    drawn = sampling(
        temperature=number(fields, "temperature", 0.0),
        seed=whole(fields, "seed"),
        max_tokens=whole(fields, "max_tokens"),
    )
    medium = MediaBytes("audio", sound[0], data=sound[1], place="file")

    def to_request() -> GenerationRequest:
        messages, told = transcription_messages(service.ready().loaded.family, medium, fields)
        return GenerationRequest(messages=messages, sampling=replace(drawn, template_kwargs=told))

    beginning = service.begin(request, to_request)
    if streamed == "true":
        answers = await cancel_on_disconnect(request, beginning)
        return EventStreamResponse(chunks(answers), answers.close)

    async def heard() -> tuple[str, dict[str, Any]]:
        answers = await beginning
        reply = collect((await answers.all_events())[0])
        return reply.text, transcription_usage(answers)

    text, used = await cancel_on_disconnect(request, heard())
    return PlainTextResponse(text + "\n") if shape == "text" else JSONResponse({"text": text, "usage": used})


async def form(request: Request, limit: int) -> tuple[tuple[str, bytes], dict[str, str]]:
    """The uploaded file, by name and bytes, and the other fields. Raises ``OptionError`` or 415."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "The body must be multipart/form-data with a file.")
    data = await read(request, limit)

    async def stream() -> AsyncGenerator[bytes]:
        yield data

    parser = MultiPartParser(
        request.headers, stream(), max_files=1, max_fields=MOST_FIELDS, max_part_size=max(len(data), 1)
    )
    try:
        parts = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise OptionError(f"The form cannot be read: {error}") from error
    async with AsyncExitStack() as stack:
        stack.push_async_callback(parts.close)
        told = {name: value for name, value in parts.multi_items() if isinstance(value, str)}
        fields = {name: value for name, value in told.items() if value not in EMPTY or name == "prompt"}
        upload = parts.get("file")
        if not isinstance(upload, UploadFile):
            raise OptionError("file is missing.", "Send the sound as the field file.", param="file")
        for name, value in parts.multi_items():
            if name not in FIELDS and name not in HINTS and value not in EMPTY:
                ignore_field(name)
        return (upload.filename or "file", await upload.read()), fields


def transcription_messages(
    family: Family, sound: Media, fields: dict[str, str]
) -> tuple[tuple[Message, ...], dict[str, Any]]:
    """What the family says to have speech written down, with the client's ``prompt``, and what its template is told.

    Raises ``OptionError`` for a prompt where the model has a mode for this, which leaves no room for words.
    """
    messages, told = family.transcription(sound, fields.get("language") or None)
    if prompt := fields.get("prompt"):
        if told:
            raise OptionError(
                f"{family.name} takes no words beside the sound it is to write down.",
                "Leave prompt out.",
                param="prompt",
            )
        *before, last = messages
        messages = [*before, replace(last, parts=(*last.parts, Text(f"\n{prompt}")))]
    return tuple(messages), told


def number(fields: dict[str, str], name: str, default: float) -> float:
    """A number among the fields."""
    try:
        return float(fields.get(name) or default)
    except ValueError as error:
        raise OptionError(f"{name} is no number.", param=name) from error


def whole(fields: dict[str, str], name: str) -> int | None:
    """A whole number among the fields."""
    try:
        return int(fields[name]) if fields.get(name) else None
    except ValueError as error:
        raise OptionError(f"{name} is no whole number.", param=name) from error


async def chunks(answers: ResponseStreams) -> AsyncGenerator[bytes]:
    """Server-sent events."""
    text = ""
    try:
        async with aclosing(answers.events()) as arriving:
            async for _, item in arriving:
                if isinstance(item, TextDelta):
                    text += item.text
                    yield event({"type": "transcript.text.delta", "delta": item.text})
    except MistralrsError as error:
        yield event(errors.body(error, ""))
        return
    yield event({"type": "transcript.text.done", "text": text, "usage": transcription_usage(answers)})


def transcription_usage(answers: ResponseStreams) -> dict[str, Any]:
    """OpenAI's counts for sounds."""
    counts = usage(answers.total())
    audio = counts["prompt_tokens_details"]["audio_tokens"]
    return {
        "type": "tokens",
        "input_tokens": counts["prompt_tokens"],
        "input_token_details": {"audio_tokens": audio, "text_tokens": counts["prompt_tokens"] - audio},
        "output_tokens": counts["completion_tokens"],
        "total_tokens": counts["total_tokens"],
    }
