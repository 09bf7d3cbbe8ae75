"""Reading all media of a conversation: bytes, then what they hold, with errors that name the part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

from ..errors import MistralrsError
from ..messages import DecodedMedia, Media, Message, Part, Text
from ..options import MediaPolicy
from . import decode, in_parts
from .sources import fetch_or_name
from .video import VideoSampling


def read_media(
    messages: Sequence[Message], policy: MediaPolicy, *, rate: int, sampling: VideoSampling
) -> tuple[Message, ...]:
    """The messages with their media fetched and decoded. ``rate`` is in Hz; ``sampling`` says which frames are taken.

    Raises ``MediaError``, with the part in ``param`` and in the message where the medium knows its place.
    """

    def read(part: Part) -> Iterator[Part]:
        if not isinstance(part, Media):
            yield part
            return
        with naming_part(part):
            found = part if isinstance(part, DecodedMedia) else fetch_or_name(part, policy)
            for page in (found,) if isinstance(found, DecodedMedia) else in_parts(found, policy):
                yield page if isinstance(page, Text) else decode(page, policy, rate=rate, sampling=sampling)

    return tuple(replace(message, parts=tuple(chain.from_iterable(map(read, message.parts)))) for message in messages)


@contextmanager
def naming_part(medium: Media) -> Iterator[None]:
    """Let errors name the part of the request that a medium stood in."""
    try:
        yield
    except MistralrsError as error:
        if medium.place and error.param is None:
            error.at(medium.place)
        raise
