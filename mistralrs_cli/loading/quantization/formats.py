"""Which format stores the numbers of which type, and what stores a matrix that a type cannot."""

from __future__ import annotations

from .blocks import IQ4_NL, Q6_K, Q8_0, Blocks
from .float4 import BLOCK, Float4
from .format import Format
from .grouped import Grouped
from .int8 import Int8
from .k_blocks import Q3_K, Q4_K, Q5_K
from .types import QuantType

FORMATS: dict[QuantType, Format] = {
    QuantType.INT2: Grouped(2),
    QuantType.INT3: Grouped(3),
    QuantType.INT4: Grouped(4),
    QuantType.INT5: Grouped(5),
    QuantType.INT6: Grouped(6),
    QuantType.INT8: Int8(),
    QuantType.NF4: Float4("nf4"),
    QuantType.FP4: Float4("fp4"),
    QuantType.Q3_K: Q3_K(),
    QuantType.IQ4_NL: IQ4_NL(),
    QuantType.Q4_K: Q4_K(),
    QuantType.Q5_K: Q5_K(),
    QuantType.Q6_K: Q6_K(),
    QuantType.Q8_0: Q8_0(),
}


SAME_BITS = {
    QuantType.Q3_K: QuantType.INT3,
    QuantType.Q4_K: QuantType.INT4,
    QuantType.IQ4_NL: QuantType.INT4,
    QuantType.NF4: QuantType.INT4,
    QuantType.FP4: QuantType.INT4,
    QuantType.Q5_K: QuantType.INT5,
    QuantType.Q6_K: QuantType.INT6,
    QuantType.Q8_0: QuantType.INT8,
}
"""What stores a matrix that these cannot cut into whole blocks."""


def concrete_type(kind: QuantType, rows: int, columns: int) -> QuantType:
    """The type in which a matrix [rows, columns] is stored where ``kind`` is planned."""
    how = FORMATS[kind]
    whole = columns % BLOCK == 0 if isinstance(how, Float4) else not isinstance(how, Blocks) or how.fits(rows, columns)
    return kind if whole else SAME_BITS[kind]
