"""Idefics 2: a picture is shown in quarters and whole, each a run of placeholders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ..messages import Media
from .base import Family
from .encoder import Encoder
from .registry import Listing
from .runs import placeholder_runs

QUARTERS_AND_WHOLE = 5


class Idefics2(Family):
    """``model_type: idefics2``."""

    name: ClassVar[str] = "Idefics 2"
    listing: ClassVar[Listing | None] = Listing("Idefics2", "HuggingFaceM4/idefics2-8b", ("image",))
    sanitized: ClassVar[bool] = False
    encoders: ClassVar[tuple[Encoder, ...]] = (Encoder("vision_model"),)

    def runs(
        self, processor: Any, placeholders: frozenset[int], media: Sequence[Media], ids: Sequence[int]
    ) -> Iterator[int]:
        """One picture's runs together."""
        runs = placeholder_runs(ids, placeholders)
        views = QUARTERS_AND_WHOLE if processor.image_processor.do_image_splitting else 1
        for _ in media:
            yield sum(next(runs, 0) for _ in range(views))


FAMILY = Idefics2
