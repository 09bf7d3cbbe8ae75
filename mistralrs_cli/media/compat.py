"""Private names of Pillow. ``tests/drift/test_private_names.py`` checks each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def decoding_began(image: Image.Image) -> bool:
    """Whether there are pixels: ``load`` has got past the file's headers."""
    return vars(image).get("_im") is not None


def as_decoded(image: Image.Image) -> Image.Image:
    """The pixels decoded so far as an image that is not bound to its file."""
    return image._new(image.im)
