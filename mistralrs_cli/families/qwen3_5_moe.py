"""Qwen3.5 with a mixture of experts: as the dense one."""

from __future__ import annotations

from typing import ClassVar

from .listing import Listing
from .qwen3_5 import Qwen35


class Qwen35Moe(Qwen35):
    """``model_type: qwen3_5_moe``."""

    name: ClassVar[str] = "Qwen3.5 with experts"
    listing: ClassVar[Listing | None] = Listing("Qwen3_5Moe", "Qwen/Qwen3.5-35B-A3B", ("image", "video"))


FAMILY = Qwen35Moe
