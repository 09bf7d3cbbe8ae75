"""LLaVA 1.5: a picture is one run of placeholders, and neighbours follow without anything between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ..messages import Media, Modality
from .base import Family
from .registry import Listing


class Llava(Family):
    """``model_type: llava``."""

    name: ClassVar[str] = "LLaVA 1.5"
    listing: ClassVar[Listing | None] = Listing("LLaVA", "llava-hf/llava-1.5-7b-hf", ("image",))

    def placeholder(self, processor: Any, kind: Modality) -> str | None:
        """As its own templates write it: with a line break."""
        token = super().placeholder(processor, kind)
        return f"{token}\n" if token else None

    def runs(
        self, processor: Any, placeholders: frozenset[int], media: Sequence[Media], ids: Sequence[int]
    ) -> Iterator[int]:
        """Adjacent pictures make one long run, so each one's share is what the processor grants its size."""
        sizes = [(medium.data.image.height, medium.data.image.width) for medium in media]
        yield from processor._get_num_multimodal_tokens(image_sizes=sizes).num_image_tokens


FAMILY = Llava
