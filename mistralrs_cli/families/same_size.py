"""Several pictures in one conversation, brought to one size for models that are used to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..messages import Media, Message, Part, media_of


def same_size(messages: Sequence[Message]) -> list[Message]:
    """Resize all pictures to the largest width × the largest height among them; the aspect is not kept.

    One picture alone keeps its size.
    """
    from PIL import Image

    pictures = [medium.data.image for medium in media_of(messages) if medium.kind == "image"]
    if len(pictures) < 2:
        return list(messages)
    size = (max(picture.width for picture in pictures), max(picture.height for picture in pictures))

    def resized(part: Part) -> Part:
        if not isinstance(part, Media) or part.kind != "image" or part.data.image.size == size:
            return part
        picture = part.data
        return replace(part, data=replace(picture, image=picture.image.resize(size, Image.Resampling.BICUBIC)))

    return [replace(message, parts=tuple(resized(part) for part in message.parts)) for message in messages]
