"""The types that weights are quantized to, and the names by which users ask for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ...errors import OptionError


class QuantType(StrEnum):
    """How a weight is stored, or (``TWO`` to ``EIGHT``) about how many bits the weights of a model may take.

    ``INT2`` to ``INT6`` are integers with a scale and an offset for every group of 64 inputs, ``Q3_K`` to ``Q8_0`` the
    blocks of ggml. ``NF4`` and ``FP4`` are the 4-bit floats of bitsandbytes, ``INT8`` its LLM.int8. A size is never
    stored: ``mixes`` says which type each part of a model gets.
    """

    TWO = "2"
    INT2 = "int2"
    THREE = "3"
    INT3 = "int3"
    Q3_K = "q3k"
    FOUR = "4"
    INT4 = "int4"
    NF4 = "nf4"
    FP4 = "fp4"
    IQ4_NL = "iq4_nl"
    Q4_K = "q4k"
    FIVE = "5"
    INT5 = "int5"
    Q5_K = "q5k"
    SIX = "6"
    INT6 = "int6"
    Q6_K = "q6k"
    EIGHT = "8"
    INT8 = "int8"
    Q8_0 = "q8_0"

    @property
    def bits(self) -> int:
        """Bits of a weight, its share of scales not counted."""
        return int(next(letter for letter in self.value if letter.isdigit()))

    @property
    def memory_bits(self) -> float:
        """Bits of a weight in memory with its scales, in the order in which a CPU multiplies it."""
        return MEMORY_BITS.get(self, self.bits + 0.5)


LAYOUT = 3
"""The version of the stored formats. Raised when one changes or is new, so that older copies are not read for newer."""

AUTO = "auto"
KINDS = frozenset(kind.value for kind in QuantType)
SIZE = re.compile(r"[2-9]\.\d{1,2}")
MEMORY_BITS = {
    QuantType.TWO: 2.8,
    QuantType.THREE: 3.9,
    QuantType.FOUR: 5.2,
    QuantType.Q4_K: 5.0,
    QuantType.FIVE: 5.7,
    QuantType.SIX: 6.7,
    QuantType.Q6_K: 6.6,
    QuantType.EIGHT: 8.6,
    QuantType.Q8_0: 10.0,
}
"""Where it is not half a bit more than the type's own. ``Q4_K`` and ``Q8_0`` grow when they are put in tiles."""

SIZES = (
    (2.8, QuantType.TWO),
    (3.44, QuantType.Q3_K),
    (3.9, QuantType.THREE),
    (4.5, QuantType.Q4_K),
    (4.7, QuantType.FOUR),
    (5.5, QuantType.Q5_K),
    (5.6, QuantType.FIVE),
    (6.57, QuantType.Q6_K),
    (6.7, QuantType.SIX),
    (8.1, QuantType.INT8),
    (8.5, QuantType.Q8_0),
)
"""Bits stored for a weight of the text layers, scales and all: what ``--quant 4.5`` and the like choose from."""

SIMILAR = {
    QuantType.TWO: ("q2k", "afq2"),
    QuantType.Q3_K: ("afq3",),
    QuantType.Q4_K: ("q4_0", "q4_1", "hqq4", "afq4", "mxfp4"),
    QuantType.Q5_K: ("q5_0", "q5_1"),
    QuantType.Q6_K: ("afq6",),
    QuantType.Q8_0: ("q8_1", "q8k", "hqq8", "afq8"),
    QuantType.INT8: ("f8q8", "fp8"),
}
"""Names of other engines' formats, under the type here that is nearest to them in bits and error."""


@dataclass(frozen=True, slots=True)
class Named:
    """A type, and the name it was requested by if that name means something slightly different elsewhere."""

    type: QuantType
    alias: str | None = None

    @property
    def notice(self) -> str | None:
        """What the user should know, if the type is not exactly the requested one."""
        if self.alias is None:
            return None
        made = f"{self.type} bits, the nearest, are" if self.type.isdigit() else f"{self.type}, the nearest type, is"
        return f"{self.alias} is not made here: {made} made instead"


def parse_type(name: str) -> Named:
    """The type that a name means.

    Raises ``OptionError`` with the names there are.
    """
    lower = name.strip().lower()
    if lower in KINDS:
        return Named(QuantType(lower))
    for kind, aliases in SIMILAR.items():
        if lower in aliases:
            return Named(kind, lower)
    if (sized := of_size(lower)) is not None:
        return Named(sized)
    others = " ".join(alias for aliases in SIMILAR.values() for alias in aliases)
    raise OptionError(
        f"Unknown quantization: {name}.",
        "Use 2 3 4 5 6 8, a number of bits such as 4.5, q3k q4k q5k q6k q8_0 iq4_nl, nf4 fp4 int4 int8, or auto. "
        f"These names work, too, and mean the nearest of them: {others}.",
    )


def of_size(text: str) -> QuantType | None:
    """The largest type that takes at most so many bits a weight (``4.5``); ``None`` for what is no such number."""
    if not SIZE.fullmatch(text):
        return None
    found = [kind for bits, kind in SIZES if bits <= float(text)]
    return found[-1] if found else None
