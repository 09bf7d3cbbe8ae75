"""The types that weights are quantized to, and the names by which users ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ...errors import OptionError


class QuantType(StrEnum):
    """How a weight is stored.

    ``INT2`` to ``INT6`` are integers with a scale and an offset for every group of 64 inputs. ``NF4`` and ``FP4`` are
    the 4-bit floats of bitsandbytes, ``INT8`` its LLM.int8. ``FOUR`` is four bits in the form that is fastest on the
    device at hand: it is settled while loading and never stored.
    """

    INT2 = "int2"
    INT3 = "int3"
    FOUR = "4"
    INT4 = "int4"
    NF4 = "nf4"
    FP4 = "fp4"
    INT5 = "int5"
    INT6 = "int6"
    INT8 = "int8"

    @property
    def bits(self) -> int:
        """Bits of a weight, its share of scales not counted."""
        return int(self.value[-1])


AUTO = "auto"
EXACT = {
    **{str(kind.bits): kind for kind in QuantType if kind.value.startswith("int")},
    **{kind.value: kind for kind in QuantType},
}
"""Names that mean one type and nothing else. ``4`` is whatever holds four bits best."""

SIMILAR = {
    QuantType.INT2: ("q2k", "afq2"),
    QuantType.INT3: ("q3k", "afq3"),
    QuantType.FOUR: ("q4k", "q4_0", "q4_1", "hqq4", "afq4", "mxfp4"),
    QuantType.INT5: ("q5k", "q5_0", "q5_1"),
    QuantType.INT6: ("q6k", "afq6"),
    QuantType.INT8: ("q8_0", "q8_1", "q8k", "hqq8", "afq8", "f8q8", "fp8"),
}
"""Names of other engines' formats, under the nearest type here with at least as many bits."""


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
        bits = self.type.bits
        return f"{self.alias} is not made here: {bits} bits are made as for --quant {bits} instead"


def parse_type(name: str) -> Named:
    """The type that a name means.

    Raises ``OptionError`` with the names there are.
    """
    lower = name.strip().lower()
    if lower in EXACT:
        return Named(EXACT[lower])
    for kind, aliases in SIMILAR.items():
        if lower in aliases:
            return Named(kind, lower)
    others = " ".join(alias for aliases in SIMILAR.values() for alias in aliases)
    raise OptionError(
        f"Unknown quantization: {name}.",
        f"Use 2 3 4 5 6 8, nf4 fp4 int4 int8 or auto. These names work, too, and mean the nearest of them: {others}",
    )
