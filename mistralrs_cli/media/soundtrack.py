"""One medium as the parts that a model is given: the pages of a document, a video and then its audio track."""

from __future__ import annotations

from dataclasses import replace
from typing import overload

from ..messages import MediaBytes, MediaFile, TextFile
from ..options import MediaPolicy
from . import ffmpeg
from .formats import beginning, identify
from .pages import in_pages
from .streams import read_streams


@overload
def in_parts(medium: MediaBytes, policy: MediaPolicy) -> tuple[MediaBytes | TextFile, ...]: ...
@overload
def in_parts(medium: MediaFile, policy: MediaPolicy) -> tuple[MediaFile, ...]: ...
def in_parts(
    medium: MediaBytes | MediaFile, policy: MediaPolicy
) -> tuple[MediaBytes | TextFile, ...] | tuple[MediaFile, ...]:
    """The pages of a document; a video with ``soundtrack`` in its options, and its audio track if it has one.

    Anything else as it is. Raises what ``in_pages`` does, and ``MediaError`` without ffmpeg.
    """
    if isinstance(medium, MediaBytes) and medium.kind == "image":
        return in_pages(medium, policy)
    audible = medium.kind == "video" and bool(medium.options.soundtrack) and has_sound(medium, policy)
    if isinstance(medium, MediaFile):
        return (medium, replace(medium, kind="audio")) if audible else (medium,)
    return (medium, replace(medium, kind="audio")) if audible else (medium,)


def has_sound(medium: MediaBytes | MediaFile, policy: MediaPolicy) -> bool:
    """Whether a video has an audio track. Animated images have none."""
    content = medium.path if isinstance(medium, MediaFile) else medium.data
    found = identify(beginning(content))
    if found is not None and found.kind == "image" and found.name != "HEIC":
        return False
    with ffmpeg.stored(content, medium.source, policy) as file:
        return bool(read_streams(file).of("audio"))
