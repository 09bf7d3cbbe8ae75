"""The form of a transcription request: an uploaded audio file and the fields beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, get_args

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ...errors import OptionError
from ...messages import MediaBytes
from ...options import Sampling, ServerOptions
from ...protocol import sampling
from ...protocol.ignored_fields import ignore_field
from ...speech.transcribe import SpeechOptions
from ..http.body import collect_ignored_fields, read
from ..http.compat import MultiPartException, MultiPartParser

FIELDS = (
    *("file", "model", "prompt", "language", "response_format", "timestamp_granularities[]"),
    *("temperature", "stream", "seed", "max_tokens"),
)
HINTS = ("chunking_strategy", "include[]", "include", "user")
"""Accepted, without effect: recordings are always cut where they are quiet."""
GRANULARITIES = ("timestamp_granularities[]", "timestamp_granularities")
ResponseFormatName = Literal["json", "text", "srt", "vtt", "verbose_json"]
FORMATS: tuple[ResponseFormatName, ...] = get_args(ResponseFormatName)
STREAMED = ("json", "text")
EMPTY = ("", "null", "[]", "{}")  # values of a field that is not set
MOST_FIELDS = 32


@dataclass(frozen=True)
class TranscriptionRequest:
    """The form: a recording and how to transcribe it.

    ``granularities`` are those of the times that ``verbose_json`` shall have: ``segment``, ``word``.
    """

    audio: MediaBytes
    model: str | None = None
    options: SpeechOptions = field(default_factory=SpeechOptions)
    response_format: ResponseFormatName = "json"
    granularities: tuple[str, ...] = ()
    stream: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    translate: ClassVar[bool] = False

    @classmethod
    async def from_request(cls, request: Request, options: ServerOptions) -> Self:
        """The form of a request. Raises ``OptionError`` with ``param`` for the first field that is wrong, or 415."""
        collect_ignored_fields(request, options)
        (name, data), fields, granularities = await read_form(request, options.body)
        response_format = next((each for each in FORMATS if each == fields.get("response_format", "json")), None)
        if response_format is None:
            raise OptionError(
                f"There is no response_format {fields['response_format']!r}.",
                f"Use {', '.join(FORMATS)}.",
                param="response_format",
            )
        for each in granularities:
            if each not in ("segment", "word"):
                raise OptionError(
                    f"There are no times of a {each!r}.", "Use segment or word.", param="timestamp_granularities"
                )
        stream = fields.get("stream", "false").lower()
        if stream not in ("true", "false"):
            raise OptionError("stream must be true or false.", param="stream")
        if stream == "true" and response_format not in STREAMED:
            raise OptionError(
                f"A stream has no {response_format}.", "Leave stream out, or use json.", param="response_format"
            )
        return cls(
            audio=MediaBytes("audio", name, data=data, place="file"),
            model=fields.get("model"),
            options=SpeechOptions(
                language=fields.get("language") or None,
                translate=cls.translate,
                prompt=fields.get("prompt") or None,
                words="word" in granularities,
            ),
            response_format=response_format,
            granularities=granularities,
            stream=stream == "true",
            sampling=sampling(
                temperature=number(fields, "temperature", 0.0),
                seed=whole_number(fields, "seed"),
                max_tokens=whole_number(fields, "max_tokens"),
            ),
        )


class TranslationRequest(TranscriptionRequest):
    """The form of a translation into English: the same."""

    translate: ClassVar[bool] = True


async def read_form(request: Request, limit: int) -> tuple[tuple[str, bytes], dict[str, str], tuple[str, ...]]:
    """The uploaded file, by name and bytes, the other fields, and the granularities of times.

    Raises ``OptionError`` or 415.
    """
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
            if name not in (*FIELDS, *HINTS, *GRANULARITIES) and value not in EMPTY:
                ignore_field(name)
        items = [value for name, value in parts.multi_items() if name in GRANULARITIES and value not in EMPTY]
        granularities = tuple(dict.fromkeys(value for value in items if isinstance(value, str)))
        return (upload.filename or "file", await upload.read()), fields, granularities


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
