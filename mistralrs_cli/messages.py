"""What goes in: messages made of text and media, in the order the user gave them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .decoded import Decoded

Modality = Literal["image", "audio", "video"]
Role = Literal["system", "user", "assistant", "tool"]
MODALITIES: tuple[Modality, ...] = ("image", "audio", "video")


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """How one medium is read.

    ``max_edge`` caps an image's longer edge in pixels (shrink only). ``frames`` or ``fps`` say how a video is
    sampled (unset: the family's default); ``start`` and ``end`` cut it, in seconds. ``pages`` of a document are taken
    (``2-4,7``; unset: all), at ``dpi`` pixels an inch, with ``page_text`` their text before each. ``soundtrack``: the
    audio track of a video is given after its frames.
    """

    max_edge: int | None = None
    frames: int | None = None
    fps: float | None = None
    start: float | None = None
    end: float | None = None
    pages: str | None = None
    dpi: int | None = None
    page_text: bool | None = None
    soundtrack: bool | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Words in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class TextFile(Text):
    """Words that were read from a file; ``source`` is its path as the user wrote it."""

    source: str = ""

    @classmethod
    def fenced(cls, source: str, text: str) -> TextFile:
        """A text as the model reads it: its name, then the text in a fence longer than any in it."""
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
        return cls(f"{source}:\n{fence}\n{text}\n{fence}\n\n", source)


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """A format recognised by its content: its name for people, and the modality it carries.

    ``kind`` is ``None`` for what is no medium; ``hint`` may then say what to do with it.
    """

    name: str
    kind: Modality | None
    animated: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Medium:
    """What stays the same from the name of a medium to its content.

    ``source`` is what the user wrote (a path, URL, ``data:`` URL or a label). ``place`` says where a request named it
    (``messages[0].content[1]``), for errors; ``digest`` is the SHA-256 of the bytes in hexadecimal, where they are
    stored by it.
    """

    kind: Modality
    source: str
    options: MediaOptions = field(default=MediaOptions(), kw_only=True)
    place: str = field(default="", kw_only=True)
    digest: str | None = field(default=None, kw_only=True, repr=False)

    def as_ref(self) -> MediaRef:
        """The same medium with nothing read."""
        return MediaRef(self.kind, self.source, options=self.options, place=self.place, digest=self.digest)

    def as_bytes(self, data: bytes, format: MediaFormat | None = None) -> MediaBytes:
        """The same medium with its bytes."""
        return MediaBytes(
            self.kind, self.source, data, options=self.options, place=self.place, digest=self.digest, format=format
        )

    def as_file(self, path: Path, format: MediaFormat | None = None) -> MediaFile:
        """The same medium as a local file."""
        return MediaFile(
            self.kind, self.source, path, options=self.options, place=self.place, digest=self.digest, format=format
        )

    def as_decoded(self, data: Decoded) -> DecodedMedia:
        """The same medium with its content."""
        return DecodedMedia(self.kind, self.source, data, options=self.options, place=self.place, digest=self.digest)


@dataclass(frozen=True, slots=True)
class MediaRef(_Medium):
    """An image, audio or video that is named; nothing of it is read yet."""


@dataclass(frozen=True, slots=True)
class MediaBytes(_Medium):
    """An image, audio or video as encoded bytes. ``format`` is what they were recognised as, once that was tried."""

    data: bytes = field(repr=False)
    format: MediaFormat | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class MediaFile(_Medium):
    """Audio or a video in a local file, which is decoded from its place. ``format`` is what its beginning shows."""

    path: Path = field(repr=False)
    format: MediaFormat | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class DecodedMedia(_Medium):
    """An image, audio or video as a model's processor takes it."""

    data: Decoded = field(repr=False)


Media = MediaRef | MediaBytes | DecodedMedia
Part = Text | Media


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model wants called; ``arguments`` is the text of a JSON object."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    An assistant's turn may hold ``tool_calls`` and what it thought; a tool's answers the call ``tool_call_id``.
    """

    role: Role
    parts: tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str = ""

    @property
    def text(self) -> str:
        """The words of the message without its media."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def media(self) -> tuple[Media, ...]:
        """The media of the message in order."""
        return tuple(part for part in self.parts if isinstance(part, Media))


def media_of(messages: Iterable[Message]) -> tuple[Media, ...]:
    """All media of a conversation, in order."""
    return tuple(medium for message in messages for medium in message.media)


def decoded_media(messages: Iterable[Message]) -> tuple[DecodedMedia, ...]:
    """All media of a conversation, in order. Raises ``TypeError`` for one that is not decoded."""
    return tuple(decoded(medium) for medium in media_of(messages))


def decoded(medium: Media) -> DecodedMedia:
    """A medium that must be decoded. Raises ``TypeError`` for another."""
    if not isinstance(medium, DecodedMedia):
        raise TypeError(f"{medium.source!r} is not decoded")
    return medium
