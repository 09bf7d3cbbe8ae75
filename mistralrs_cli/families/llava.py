"""LLaVA 1.5, and Pixtral, whose images come in rows: neighbours may follow without anything between them."""

from __future__ import annotations

from typing import Any, ClassVar

from ..messages import Modality
from .listing import Listing
from .vision import Replacing


class Llava(Replacing):
    """``model_type: llava``."""

    name: ClassVar[str] = "LLaVA 1.5"
    listing: ClassVar[Listing | None] = Listing("LLaVA", "llava-hf/llava-1.5-7b-hf", ("image",))

    def placeholder(self, processor: Any, kind: Modality) -> str | None:
        """As its own templates write it: with a line break."""
        token = super().placeholder(processor, kind)
        return f"{token}\n" if token else None


FAMILY = Llava
