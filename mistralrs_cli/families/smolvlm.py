"""SmolVLM2: as Idefics 3, and videos, whose frames are images that are not cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..messages import DecodedMedia, Modality
from .idefics3 import Idefics3
from .listing import Listing


class SmolVLM(Idefics3):
    """``model_type: smolvlm``."""

    name: ClassVar[str] = "SmolVLM"
    listing: ClassVar[Listing | None] = Listing("Idefics3", "HuggingFaceTB/SmolVLM2-2.2B-Instruct", ("image", "video"))
    processor_escapes: ClassVar[bool] = True

    @property
    def modalities(self) -> frozenset[Modality]:
        """Videos go through the vision tower, so a checkpoint that reads images reads videos."""
        return super().modalities | {"video"}

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """The checkpoint's processor, able to take images and videos in one prompt."""
        from .processors.smolvlm import MixingProcessor

        processor = super().load_processor(folder, trust_remote_code=trust_remote_code)
        return MixingProcessor.of(processor)

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """Frames are sampled already; without this, its processor would decide that itself, with a warning."""
        return super().media_arguments(media) or {"do_sample_frames": False}

    def placeholder_ids(self, processor: Any, kind: Modality) -> frozenset[int]:
        """Images and frames have the same placeholder."""
        return super().placeholder_ids(processor, "image") if kind in self.modalities else frozenset()


FAMILY = SmolVLM
