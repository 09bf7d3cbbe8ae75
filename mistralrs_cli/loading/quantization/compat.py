"""Private names of torch, bitsandbytes and transformers by which quantized weights are multiplied.

``tests/drift/test_private_names.py`` checks each of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def int4_tiles(integers: Tensor) -> Tensor:
    """Integers int32 [rows, columns] below 16 in the order of torch's CPU kernel: uint8 [rows, columns / 2]."""
    tiles: Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(integers, 1)
    return tiles


def int4_linear(inputs: Tensor, tiles: Tensor, group: int, scale_and_offset: Tensor) -> Tensor:
    """``inputs`` bfloat16 [rows, in] times the transposed ``tiles`` [out, in / 2]: [rows, out].

    ``scale_and_offset`` bfloat16 [groups, out, 2], for every ``group`` inputs.
    """
    product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(inputs, tiles, group, scale_and_offset)
    return product


def int8_linear(inputs: Tensor, packed: Tensor, scale: Tensor) -> Tensor:
    """``inputs`` bfloat16 [rows, in] times the transposed ``packed`` int8 [out, in], times ``scale`` bfloat16 [out]."""
    product: Tensor = torch.ops.aten._weight_int8pack_mm(inputs, packed, scale)
    return product


def float4_tiles(functional: Any, packed: Tensor, state: Any) -> tuple[Tensor, Tensor]:
    """Packed 4-bit floats and their scales in the order of bitsandbytes' kernel for CPUs with AVX512-BF16.

    ``functional`` is bitsandbytes' module of that name, ``state`` the ``QuantState`` that describes ``packed``.
    """
    tiles, state = functional._convert_weight_packed_for_cpu(packed, state)
    return tiles, state.absmax


def has_own_gate(experts: type) -> bool:
    """Whether a class of routed experts of transformers gates in another way than ``act_fn(gate) · up``."""
    gate = getattr(experts, "_apply_gate", None)
    return gate is not None and gate.__name__ != "_default_apply_gate"
