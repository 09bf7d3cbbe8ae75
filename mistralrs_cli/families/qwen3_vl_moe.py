"""Qwen3-VL with a mixture of experts: as the dense one."""

from __future__ import annotations

from typing import ClassVar

from .listing import Listing
from .qwen3_vl import Qwen3VL


class Qwen3VLMoE(Qwen3VL):
    """``model_type: qwen3_vl_moe``."""

    name: ClassVar[str] = "Qwen3-VL with experts"
    listing: ClassVar[Listing | None] = Listing("Qwen3VLMoE", "Qwen/Qwen3-VL-235B-A22B-Instruct", ("image", "video"))


FAMILY = Qwen3VLMoE
