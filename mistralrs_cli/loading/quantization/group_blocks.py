"""4-bit integers of any format in blocks that ggml multiplies, its Q4_1."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import QuantizationError
from ..ggml.block_types import GROUPS
from .blocks import as_bytes


def to_blocks(integers: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """``integers`` uint8 [rows, columns] below 16, ``scale`` and ``offset`` [rows, groups]: ``GgmlGroups.blocks``.

    Raises ``QuantizationError`` for scales that are too large for float16.
    """
    halves = integers.view(-1, 2, GROUPS.size // 2)
    repeats = integers.numel() // GROUPS.size // scale.numel()
    numbers = [part.reshape(-1, 1).half().repeat_interleave(repeats, 0) for part in (scale, offset)]
    if not all(bool(part.isfinite().all()) for part in numbers):
        raise QuantizationError("Some weights are too large for ggml's kernels.", "Set MISTRALRS_GGML=off.")
    return torch.cat([*map(as_bytes, numbers), halves[:, 0] | halves[:, 1] << 4], 1)
