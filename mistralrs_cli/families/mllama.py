"""Llama 3.2 Vision: images are attended to across, so that each is a single token of the prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ..messages import DecodedMedia
from .base import Family
from .encoder import Encoder
from .listing import Listing


class Mllama(Family):
    """``model_type: mllama``. Tokens before an image depend on it as well, so that no prefix can be kept."""

    name: ClassVar[str] = "Llama 3.2 Vision"
    listing: ClassVar[Listing | None] = Listing(
        "VLlama",
        "meta-llama/Llama-3.2-11B-Vision-Instruct",
        ("image",),
        note="Answers decode together where their prompts have equally many images.",
    )
    processor_escapes: ClassVar[bool] = False
    prefix_reuse: ClassVar[bool] = False
    chunked_prefill: ClassVar[bool] = False  # text before an image passes the layers that attend to it
    encoders: ClassVar[tuple[Encoder, ...]] = (Encoder("vision_model", axis=1),)

    def runs(
        self, processor: Any, placeholders: frozenset[int], media: Sequence[DecodedMedia], ids: Sequence[int]
    ) -> Iterator[int]:
        """Every placeholder is an image, also side by side."""
        return (1 for token in ids if token in placeholders)


FAMILY = Mllama
