"""4-bit integers whose groups have a scale and an offset, in ggml's blocks of 32 (Q4_1).

ggml's own types of 4 bits with offsets have blocks of 256, in which narrow rows begin anywhere: each token is then
multiplied in pieces. Blocks of 32 hold the same integers, and their scales in 16 bits as torch's kernel does.
"""

from __future__ import annotations

from torch import Tensor

from ..ggml.block_types import GROUPS
from ..ggml.product import Multiplier
from .format import Rearranged, Tensors
from .ggml_order import GgmlBlocks, multiplier
from .group_blocks import to_blocks
from .tiles import GroupTiles, Parts
from .types import QuantType


class GgmlGroups(GgmlBlocks):
    """``blocks`` uint8 [rows · columns / 32, 20]: float16 scale and offset, then 16 bytes of integers."""

    kept = ("blocks",)

    def __init__(self, kind: QuantType, multiplier: Multiplier, parts: Parts) -> None:
        super().__init__(kind, multiplier)
        self.parts = parts

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        return {"blocks": to_blocks(*self.parts(stored))}

    def looks_up(self, rows: int) -> bool:
        return False


def group_order(kind: QuantType, own: Rearranged | None, rows: int, columns: int) -> GgmlGroups | None:
    """How ggml multiplies a matrix for which torch's kernel is ``own``, if that has 4 bits and ggml does."""
    if type(own) is not GroupTiles or (shared := multiplier(GROUPS.name, GROUPS, rows, columns)) is None:
        return None
    return GgmlGroups(kind, shared, own.parts)
