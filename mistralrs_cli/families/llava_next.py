"""LLaVA-NeXT on Mistral and on Vicuna: an image in tiles, as many as its shape asks for."""

from __future__ import annotations

from typing import ClassVar

from .listing import Listing
from .llava import Llava


class LlavaNext(Llava):
    """``model_type: llava_next``."""

    name: ClassVar[str] = "LLaVA-NeXT"
    listing: ClassVar[Listing | None] = Listing(
        "LLaVANext", "llava-hf/llava-v1.6-mistral-7b-hf", ("image",), note="On Vicuna, add `-c vicuna.json`."
    )


FAMILY = LlavaNext
