"""What goes in: messages made of text and media, in the order the user gave them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Modality = Literal["image", "audio", "video"]
Role = Literal["system", "user", "assistant", "tool"]
MODALITIES: tuple[Modality, ...] = ("image", "audio", "video")


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """How one medium is read.

    ``max_edge`` caps an image's longer edge in pixels (shrink only). ``frames`` or ``fps`` say how a video is
    sampled (unset: the family's default); ``start`` and ``end`` cut it, in seconds.
    """

    max_edge: int | None = None
    frames: int | None = None
    fps: float | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Words in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class TextFile(Text):
    """Words that were read from a file; ``source`` is its path as the user wrote it."""

    source: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, sound or clip in a message.

    ``source`` is what the user wrote (a path, URL, ``data:`` URL or a label). ``data`` is ``None`` until the bytes
    are fetched, then ``bytes``, or a decoded value (``media.image.DecodedImage``, ``media.audio.DecodedAudio``,
    ``media.video.DecodedVideo``). ``place`` says where a request named it (``messages[0].content[1]``), for errors;
    ``digest`` is the SHA-256 of the bytes in hexadecimal, where someone keeps them by it.
    """

    kind: Modality
    source: str
    data: Any = field(default=None, repr=False)
    options: MediaOptions = MediaOptions()
    place: str = ""
    digest: str | None = field(default=None, repr=False)


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
