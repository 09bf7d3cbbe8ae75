"""Reading all media of a conversation: bytes, then what they hold, with errors that name the part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..errors import MistralrsError
from ..messages import DecodedMedia, Media, Message, Part
from ..options import MediaPolicy
from . import decode, fetch
from .video import VideoSampling


def read_media(
    messages: Sequence[Message], policy: MediaPolicy, *, rate: int, sampling: VideoSampling
) -> tuple[Message, ...]:
    """The messages with their media fetched and decoded. ``rate`` is in Hz; ``sampling`` says which frames are taken.

    Raises ``MediaError``, with the part in ``param`` and in the message where the medium knows its place.
    """

    def read(part: Part) -> Part:
        if not isinstance(part, Media):
            return part
        with naming_part(part):
            fetched = part if isinstance(part, DecodedMedia) else fetch(part, policy)
            return decode(fetched, policy, rate=rate, sampling=sampling)

    return tuple(replace(message, parts=tuple(map(read, message.parts))) for message in messages)


@contextmanager
def naming_part(medium: Media) -> Iterator[None]:
    """Let errors name the part of the request that a medium stood in."""
    try:
        yield
    except MistralrsError as error:
        if medium.place and error.param is None:
            error.at(medium.place)
        raise
