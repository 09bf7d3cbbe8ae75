"""Which part of a text layer gets which type, for each size that a user can name.

The projection of attention's values is a small part of a layer and loses most: in 8 bits it costs 0.1 bits a weight and
saves a third of the error of 4-bit weights (``python -m benchmarks.quantization_quality``). Next comes the projection
back down from the feed-forward width, as in llama.cpp's mixtures.
"""

from __future__ import annotations

from dataclasses import dataclass

from .types import QuantType

VALUES = ("v_proj", "v", "wv", "value")
DOWN = ("down_proj", "w2", "fc2")


@dataclass(frozen=True, slots=True)
class Mix:
    """The types of a text layer's matrices: of attention's ``values``, of the ``down`` projection, of the ``body``."""

    body: QuantType
    values: QuantType = QuantType.Q8_0
    down: QuantType | None = None


MIXES = {
    QuantType.TWO: Mix(QuantType.INT2, QuantType.Q4_K, QuantType.Q3_K),
    QuantType.THREE: Mix(QuantType.Q3_K, down=QuantType.Q4_K),
    QuantType.FOUR: Mix(QuantType.Q4_K),
    QuantType.FIVE: Mix(QuantType.Q5_K),
    QuantType.SIX: Mix(QuantType.Q6_K),
    QuantType.EIGHT: Mix(QuantType.INT8),
}
ON_CUDA = {
    QuantType.FOUR: Mix(QuantType.NF4, QuantType.INT8),
    QuantType.EIGHT: Mix(QuantType.INT8, QuantType.INT8),
}
"""What differs where bitsandbytes has kernels."""


def mixed(kind: QuantType, name: str, device: str, eight: QuantType = QuantType.INT8) -> QuantType:
    """The type for a weight of a text layer where ``kind`` was requested, which is itself unless it is a size.

    ``name`` is the weight's (``model.layers.3.mlp.down_proj.weight``), ``device`` the kind of device it will be on,
    ``eight`` the type of 8 bits that is multiplied fastest there.
    """
    if kind is QuantType.EIGHT and eight is not QuantType.INT8:
        return eight
    mix = (MIXES | ON_CUDA if device == "cuda" else MIXES).get(kind)
    if mix is None:
        return kind
    matrix = name.removesuffix(".weight").rpartition(".")[2]
    if matrix in VALUES:
        return mix.values
    return mix.down if mix.down is not None and matrix in DOWN else mix.body
