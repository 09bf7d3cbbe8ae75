"""Any decoder that reads text only: the tokenizer is the processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..messages import DecodedMedia, Modality
from .base import Family


class TextFamily(Family):
    """A causal language model without towers."""

    name: ClassVar[str] = "text"
    automodel: ClassVar[str] = "AutoModelForCausalLM"
    towers: ClassVar[tuple[str, ...]] = ()

    @property
    def modalities(self) -> frozenset[Modality]:
        """Text and nothing else."""
        return frozenset()

    def apply_template(
        self, processor: Any, conversation: list[dict[str, Any]], arguments: dict[str, Any], extra: dict[str, Any]
    ) -> dict[str, Any]:
        """Text templates expect strings, not lists of parts; a tokenizer takes no media arguments."""
        flat = [{**turn, "content": "".join(item["text"] for item in turn["content"])} for turn in conversation]
        return super().apply_template(processor, flat, {}, extra)

    def reports(self, processor: Any, media: Sequence[DecodedMedia], ids: Sequence[int]) -> tuple[()]:
        """No media, no reports."""
        return ()
