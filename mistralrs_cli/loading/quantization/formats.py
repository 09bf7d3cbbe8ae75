"""Which format stores the numbers of which type, and which type serves a device."""

from __future__ import annotations

import torch

from .float4 import BLOCK, Float4, multiplies_4bit
from .format import Format
from .grouped import Grouped
from .int8 import Int8
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
}


def four_bits(device: torch.device) -> QuantType:
    """The 4-bit type that ``device`` multiplies fastest: NF4 where bitsandbytes has a kernel, else integers."""
    return QuantType.NF4 if device.type == "cuda" or multiplies_4bit() else QuantType.INT4


def concrete_type(kind: QuantType, columns: int, device: torch.device) -> QuantType:
    """The type in which a weight with so many columns is stored for ``device``."""
    if kind is QuantType.FOUR:
        kind = four_bits(device)
    return QuantType.INT4 if kind in (QuantType.NF4, QuantType.FP4) and columns % BLOCK else kind
