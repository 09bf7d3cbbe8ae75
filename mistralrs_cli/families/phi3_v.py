"""Phi-3.5 Vision and Phi-3 Vision: images in tiles, several of them brought to one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ..messages import Message, Modality
from .base import Family, Prepared
from .encoder import Encoder
from .listing import Listing
from .same_size import same_size
from .tokenizers import guarded

IMAGE_TOKEN = 32044  # <|image|>


class Phi3V(Family):
    """``model_type: phi3_v``. Its tower is named, not described, by its configuration."""

    name: ClassVar[str] = "Phi-3.5 Vision"
    listing: ClassVar[Listing | None] = Listing(
        "Phi3V",
        "microsoft/Phi-3.5-vision-instruct",
        ("image",),
        note="Best with one image; several are brought to one size.",
    )
    towers: ClassVar[tuple[str, ...]] = ("vision_embed_tokens",)
    encoders: ClassVar[tuple[Encoder, ...]] = (Encoder("vision_embed_tokens.features"),)

    @property
    def modalities(self) -> frozenset[Modality]:
        """Images."""
        return frozenset({"image"})

    def register(self) -> None:
        """The architecture is this package's own."""
        from .ports.phi3_v import register

        register()

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """This package's processor with the published settings."""
        from .ports.phi3_v.processing import load

        token = int(self.config.get("image_token_id", IMAGE_TOKEN))
        return guarded(load(folder, token), folder)

    def placeholder(self, processor: Any, kind: Modality) -> str | None:
        """An image has a line of its own."""
        return f"{processor.image_token}\n" if kind == "image" else None

    def prepare(
        self, processor: Any, messages: Sequence[Message], template_inputs: Mapping[str, Any] | None = None
    ) -> Prepared:
        """Several images change with each other's size, so such a prompt always runs whole."""
        prepared = super().prepare(processor, same_size(messages), template_inputs)
        counts = prepared.inputs.pop("num_img_tokens", ())
        media = tuple(replace(report, tokens=count) for report, count in zip(prepared.media, counts, strict=True))
        return replace(prepared, media=media, reusable=prepared.reusable and len(media) < 2)


FAMILY = Phi3V
