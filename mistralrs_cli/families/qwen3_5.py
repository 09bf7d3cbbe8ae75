"""Qwen3.5: Qwen3-VL's images and videos before a decoder with linear attention."""

from __future__ import annotations

from typing import ClassVar

from .listing import Listing
from .qwen3_vl import Qwen3VL


class Qwen35(Qwen3VL):
    """``model_type: qwen3_5``, and ``qwen3_5_moe``."""

    name: ClassVar[str] = "Qwen3.5"
    chunked_states: ClassVar[bool] = True
    listing: ClassVar[Listing | None] = Listing("Qwen3_5", "Qwen/Qwen3.5-27B", ("image", "video"))


FAMILY = Qwen35
