"""Gemma 3: a placeholder grows to a run of another token, which its processor counts by itself."""

from __future__ import annotations

from typing import ClassVar

from .base import Family
from .listing import Listing


class Gemma3(Family):
    """``model_type: gemma3``."""

    name: ClassVar[str] = "Gemma 3"
    listing: ClassVar[Listing | None] = Listing("Gemma3", "google/gemma-3-12b-it", ("image",))
    processor_escapes: ClassVar[bool] = False


FAMILY = Gemma3
