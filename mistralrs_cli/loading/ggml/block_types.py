"""The types of ggml that are multiplied here: their numbers in ``enum ggml_type``, which GGUF files hold, never change.

From https://github.com/ggml-org/ggml/blob/master/include/ggml.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd


@dataclass(frozen=True, slots=True)
class BlockType:
    """A type of blocks: ``size`` weights in ``bytes``; ``name`` as in the names of ggml's functions."""

    number: int
    name: str
    size: int
    bytes: int

    def phases(self, columns: int) -> int:
        """After how many rows of a matrix a block begins with a row again: 1 where rows are whole blocks."""
        return self.size // gcd(self.size, columns)

    def cuts(self, rows: int, columns: int) -> bool:
        """Whether a matrix [rows, columns] can be multiplied: whole blocks, and as many rows of each phase."""
        return columns % 32 == 0 and rows % self.phases(columns) == 0


BLOCK_TYPES = {
    "q3k": BlockType(11, "q3_K", 256, 110),
    "q4k": BlockType(12, "q4_K", 256, 144),
    "q5k": BlockType(13, "q5_K", 256, 176),
    "q6k": BlockType(14, "q6_K", 256, 210),
    "q8_0": BlockType(8, "q8_0", 32, 34),
    "iq4_nl": BlockType(20, "iq4_nl", 32, 18),
}
"""By the names of the types of quantized weights."""

GROUPS = BlockType(3, "q4_1", 32, 20)
"""For 4-bit integers of other formats, with a scale and an offset."""
