"""Media as they are sent to a server with OpenAI's interface."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from ..decoded import DecodedAudio, DecodedImage
from ..errors import OptionError
from ..messages import MediaBytes, MediaFormat, MediaOptions
from ..options import MediaPolicy
from . import decode
from .formats import identify
from .soundtrack import has_sound

PLAIN = {"JPEG", "PNG", "GIF", "WebP", "WAV", "MP3"}
"""Formats that servers are known to read."""
VIDEO = {"frames": "--video-frames", "fps": "--video-fps", "start": "--video-start", "end": "--video-end"}


def as_sent(medium: MediaBytes, policy: MediaPolicy, *, ours: bool) -> tuple[MediaBytes, ...]:
    """What a server is sent of a medium: a page of a document is drawn, anything else goes as it is.

    A server that is not of this project (``ours``) is sent formats that any of them reads, images no larger than
    ``max_edge``, and the audio track of a video after it where that is wanted.

    Raises what ``decode`` does, and ``OptionError`` for how a video is read, which only servers of this project know.
    """
    options = medium.options
    found = identify(medium.data)
    name, container = (found.name, found.kind) if found else ("", None)
    match medium.kind:
        case "image" if options.pages is not None or not (ours or (name in PLAIN and options.max_edge is None)):
            return (png(medium, policy),)
        case "audio" if container == "video" or not (ours or name in PLAIN):
            return (wav(medium, policy),)
        case "video" if not ours:
            for field, option in VIDEO.items():
                if getattr(options, field) is not None:
                    raise OptionError(
                        f"{option} is known to servers of mistralrs alone, which this is none.", f"Leave out {option}."
                    )
            video = replace(medium, options=MediaOptions())
            if not options.soundtrack or not has_sound(medium, policy):
                return (video,)
            return (video, wav(replace(medium, kind="audio"), policy))
    return (medium,)


def png(medium: MediaBytes, policy: MediaPolicy) -> MediaBytes:
    """An image as a PNG, upright and no larger than its options say."""
    image = decode(medium, policy).data
    assert isinstance(image, DecodedImage)
    file = BytesIO()
    image.image.save(file, "PNG")
    options = replace(medium.options, pages=None, dpi=None, page_text=None, max_edge=None)
    return replace(medium.as_bytes(file.getvalue(), MediaFormat("PNG", "image")), options=options)


def wav(medium: MediaBytes, policy: MediaPolicy) -> MediaBytes:
    """A sound as WAV: 16 bits, 16 kHz, mono."""
    audio = decode(medium, policy, rate=16_000).data
    assert isinstance(audio, DecodedAudio)
    return replace(medium.as_bytes(audio.wav(), MediaFormat("WAV", "audio")), options=MediaOptions())
