"""What tells whether a row has been answered already: digests of how it is asked, and of what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from ..media.spellings import split_pages
from ..messages import DecodedMedia, MediaBytes, MediaOptions, MediaRef, Text, TextFile
from ..options import ModelOptions, Sampling
from .files import ADDRESS
from .rows import Row

SHORT, LONG = 8, 24
MODEL = (
    *("model_id", "revision", "tokenizer", "tok_model_id", "chat_template", "jinja_explicit", "dtype", "quant", "isq"),
    *("isq_organization", "topology", "matformer_config_path", "matformer_slice_name"),
)
"""Options of a model that change its answers, rather than where and how fast it runs."""
PARTS = ("prompt", "model", "options")


@dataclass(frozen=True, slots=True)
class Settings:
    """What all rows of a run have in common, as three digests."""

    prompt: str
    model: str
    options: str

    @classmethod
    def of(
        cls,
        template: str | None,
        system: str | None,
        model: tuple[ModelOptions, str | None],
        sampling: Sampling,
        media: MediaOptions,
    ) -> Settings:
        """The settings of a run; ``model`` is one and the address of the server that has it, if one does."""
        options, server = model
        named = {name: getattr(options, name) for name in MODEL} | ({} if server is None else {"server": server})
        return cls(
            digest([template, system], SHORT), digest(named, SHORT), digest([asdict(sampling), asdict(media)], SHORT)
        )

    def of_row(self, row: Row) -> str:
        """The digest of one row: of the settings, and of what it asks."""
        asked = digest([contents(row), None if row.sampling is None else asdict(row.sampling)], LONG)
        return "-".join((self.prompt, self.model, self.options, asked))

    def differences(self, others: str) -> list[str]:
        """In which of ``PARTS`` the run that made a row's digest differs from this one."""
        mine = (self.prompt, self.model, self.options)
        return [name for name, one, other in zip(PARTS, mine, others.split("-"), strict=False) if one != other]


def digest(value: Any, length: int) -> str:
    """So many hexadecimal digits of the SHA-256 of a value."""
    text = json.dumps(value, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def contents(row: Row) -> list[Any]:
    """All that a row asks, with size and time of change for what lies in files."""
    if row.error is not None:
        return [row.error.message]
    found: list[Any] = [None if row.tools is None else repr(row.tools)]
    for message in row.messages:
        turn = {name: getattr(message, name) for name in names(message) if name != "parts"}
        found.append([turn, [part_contents(part) for part in message.parts]])
    return found


def names(value: Any) -> Sequence[str]:
    """The fields of a dataclass."""
    assert is_dataclass(value)
    return [field.name for field in fields(value)]


def part_contents(part: Any) -> list[Any]:
    """A part of a message."""
    match part:
        case TextFile(source=source):
            return ["file", source, stamp(source)]
        case Text(text=text):
            return ["text", text]
        case MediaRef(kind=kind, source=source):
            return [kind, source, asdict(part.options), stamp(source)]
        case MediaBytes(kind=kind, data=data):
            return [kind, hashlib.sha256(data).hexdigest(), asdict(part.options)]
        case DecodedMedia():
            raise TypeError("a row's media are not decoded")
    raise TypeError(type(part).__name__)


def stamp(source: str) -> tuple[int, int] | None:
    """Size and time of change of a local file; ``None`` where there is none."""
    if ADDRESS.match(source):
        return None
    for path in dict.fromkeys((source, split_pages(source)[0])):  # doc.pdf#page=2 may be the name of a file
        with suppress(OSError, ValueError, RuntimeError):  # no such file, a null byte, no such home
            facts = Path(path).expanduser().stat()
            return facts.st_size, facts.st_mtime_ns
    return None
