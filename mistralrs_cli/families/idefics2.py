"""Idefics 2: an image is shown in quarters and whole, each a run of placeholders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ..decoded import DecodedImage
from ..messages import DecodedMedia, Part
from .base import Family
from .encoder import Encoder
from .listing import Listing
from .runs import placeholder_runs

QUARTERS_AND_WHOLE = 5
LEAST = 2  # pixels of an edge, so that each quarter has one


class Idefics2(Family):
    """``model_type: idefics2``."""

    name: ClassVar[str] = "Idefics 2"
    listing: ClassVar[Listing | None] = Listing("Idefics2", "HuggingFaceM4/idefics2-8b", ("image",))
    processor_escapes: ClassVar[bool] = False
    encoders: ClassVar[tuple[Encoder, ...]] = (Encoder("vision_model"),)

    def content(self, part: Part) -> list[dict[str, Any]]:
        """An image of a single row or column of pixels is shown twice as large: it is cut in four."""
        match part:
            case DecodedMedia(data=DecodedImage(image=image)) if min(image.size) < LEAST:
                return [{"type": "image", "image": image.resize([edge * LEAST for edge in image.size])}]
            case _:
                return super().content(part)

    def runs(
        self, processor: Any, placeholders: frozenset[int], media: Sequence[DecodedMedia], ids: Sequence[int]
    ) -> Iterator[int]:
        """One image's runs together."""
        runs = placeholder_runs(ids, placeholders)
        views = QUARTERS_AND_WHOLE if processor.image_processor.do_image_splitting else 1
        for _ in media:
            yield sum(next(runs, 0) for _ in range(views))


FAMILY = Idefics2
