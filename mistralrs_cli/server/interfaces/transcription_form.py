"""The form of a transcription request: an uploaded audio file and the fields beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ...errors import OptionError
from ...messages import MediaBytes
from ...options import Sampling, ServerOptions
from ...protocol import sampling
from ...protocol.ignored_fields import ignore_field
from ..http.body import collect_ignored_fields, read
from ..http.compat import MultiPartException, MultiPartParser

FIELDS = ("file", "model", "prompt", "language", "response_format", "temperature", "stream", "seed", "max_tokens")
HINTS = ("chunking_strategy", "include[]", "include", "timestamp_granularities[]", "timestamp_granularities", "user")
"""Accepted, without effect: audio is never cut, and ``json`` and ``text`` have no word timestamps."""
FORMATS = ("json", "text")
EMPTY = ("", "null", "[]", "{}")  # values of a field that is not set
MOST_FIELDS = 32


@dataclass(frozen=True)
class TranscriptionRequest:
    """The form: an audio file and how to transcribe it. ``language`` is a code such as ``en``."""

    audio: MediaBytes
    model: str | None
    prompt: str | None
    language: str | None
    response_format: str
    stream: bool
    sampling: Sampling

    @classmethod
    async def from_request(cls, request: Request, options: ServerOptions) -> Self:
        """The form of a request. Raises ``OptionError`` with ``param`` for the first field that is wrong, or 415."""
        collect_ignored_fields(request, options)
        (name, data), fields = await read_form(request, options.body)
        response_format = fields.get("response_format", "json")
        if response_format not in FORMATS:
            raise OptionError(
                f"response_format {response_format!r} is not supported: there are no word timestamps.",
                "Use json or text.",
                param="response_format",
            )
        stream = fields.get("stream", "false").lower()
        if stream not in ("true", "false"):
            raise OptionError("stream must be true or false.", param="stream")
        return cls(
            audio=MediaBytes("audio", name, data=data, place="file"),
            model=fields.get("model"),
            prompt=fields.get("prompt"),
            language=fields.get("language") or None,
            response_format=response_format,
            stream=stream == "true",
            sampling=sampling(
                temperature=number(fields, "temperature", 0.0),
                seed=whole_number(fields, "seed"),
                max_tokens=whole_number(fields, "max_tokens"),
            ),
        )


async def read_form(request: Request, limit: int) -> tuple[tuple[str, bytes], dict[str, str]]:
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
        texts = {name: value for name, value in parts.multi_items() if isinstance(value, str)}
        fields = {name: value for name, value in texts.items() if value not in EMPTY or name == "prompt"}
        upload = parts.get("file")
        if not isinstance(upload, UploadFile):
            raise OptionError("file is missing.", "Send the audio as the field file.", param="file")
        for name, value in parts.multi_items():
            if name not in FIELDS and name not in HINTS and value not in EMPTY:
                ignore_field(name)
        return (upload.filename or "file", await upload.read()), fields


def number(fields: Mapping[str, str], name: str, default: float) -> float:
    """A number among the fields."""
    try:
        return float(fields.get(name) or default)
    except ValueError as error:
        raise OptionError(f"{name} is not a number.", param=name) from error


def whole_number(fields: Mapping[str, str], name: str) -> int | None:
    """A whole number among the fields."""
    try:
        return int(fields[name]) if fields.get(name) else None
    except ValueError as error:
        raise OptionError(f"{name} is not a whole number.", param=name) from error
