"""Llama 4: images in tiles, with a small one of the whole; attention that sharpens with the length."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from .base import Family
from .listing import Listing

FLOOR_SCALE = 8192  # tokens; of the configuration class, where config.json says nothing


class Llama4(Family):
    """``model_type: llama4``."""

    name: ClassVar[str] = "Llama 4"
    listing: ClassVar[Listing | None] = Listing("Llama4", "meta-llama/Llama-4-Scout-17B-16E-Instruct", ("image",))
    image_end_token: ClassVar[str | None] = "<|image_end|>"
    batch_key_changes: ClassVar[bool] = True

    def batch_key(self, tokens: int) -> Hashable:
        """The temperature of a layer without positions rises every so many tokens, with those of the longest row."""
        return (tokens + 1) // int(self.text_config.get("floor_scale") or FLOOR_SCALE)


FAMILY = Llama4
