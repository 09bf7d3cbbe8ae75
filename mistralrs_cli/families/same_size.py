"""Several images in one conversation, brought to one size for models that are used to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..decoded import DecodedImage
from ..messages import DecodedMedia, Message, Part, decoded_media


def same_size(messages: Sequence[Message]) -> list[Message]:
    """Resize all images to the largest width × the largest height among them; the aspect is not kept.

    One image alone keeps its size.
    """
    from PIL import Image

    images = [medium.data.image for medium in decoded_media(messages) if isinstance(medium.data, DecodedImage)]
    if len(images) < 2:
        return list(messages)
    size = (max(image.width for image in images), max(image.height for image in images))

    def resized(part: Part) -> Part:
        match part:
            case DecodedMedia(data=DecodedImage(image=image) as decoded) if image.size != size:
                return replace(part, data=replace(decoded, image=image.resize(size, Image.Resampling.BICUBIC)))
            case _:
                return part

    return [replace(message, parts=tuple(resized(part) for part in message.parts)) for message in messages]
