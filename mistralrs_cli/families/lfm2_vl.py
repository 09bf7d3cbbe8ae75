"""LFM2-VL: large images in tiles, with a thumbnail of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from .base import Family
from .listing import Listing


class Lfm2VL(Family):
    """``model_type: lfm2_vl``."""

    name: ClassVar[str] = "LFM2-VL"
    chunked_states: ClassVar[bool] = True
    listing: ClassVar[Listing | None] = Listing("Lfm2Vl", "LiquidAI/LFM2-VL-1.6B", ("image",))
    image_end_token: ClassVar[str | None] = "<|image_end|>"

    @property
    def max_aspect_ratio(self) -> float | None:
        """A strip one token wide may have as many tokens as an image may, 256; its processor fails on longer ones."""
        return 256.0

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """Its processor counts the placeholders twice, and the first time those that a user typed as well."""
        processor = super().load_processor(folder, trust_remote_code=trust_remote_code)
        processor.validate_inputs = lambda **_: None
        return processor


FAMILY = Lfm2VL
