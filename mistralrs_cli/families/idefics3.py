"""Idefics 3: an image in tiles, row by row, and then whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, ClassVar

from ..messages import DecodedMedia
from .base import Family
from .encoder import Encoder
from .listing import Listing


class Idefics3(Family):
    """``model_type: idefics3``."""

    name: ClassVar[str] = "Idefics 3"
    listing: ClassVar[Listing | None] = Listing(
        "Idefics3", "HuggingFaceM4/Idefics3-8B-Llama3", ("image",), note="The first SmolVLM is of this type, too."
    )
    processor_escapes: ClassVar[bool] = False
    encoders: ClassVar[tuple[Encoder, ...]] = (Encoder("vision_model"),)

    def runs(
        self, processor: Any, placeholders: frozenset[int], media: Sequence[DecodedMedia], ids: Sequence[int]
    ) -> Iterator[int]:
        """The tiles of an image together with the whole, which comes last and is named."""
        whole = processor.tokenizer.convert_tokens_to_ids("<global-img>")
        count, last = 0, -1
        for is_placeholder, run in groupby(ids, placeholders.__contains__):
            tokens = list(run)
            if is_placeholder:
                count += len(tokens)
                if last == whole:
                    yield count
                    count = 0
            last = tokens[-1]


FAMILY = Idefics3
