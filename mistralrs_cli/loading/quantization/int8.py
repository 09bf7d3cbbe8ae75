"""The 8-bit integers of LLM.int8."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import linear

from . import compat
from .float4 import bits_and_bytes
from .format import Format, Rearranged, Tensors, TensorShapes, aligned, slabs, vectorized
from .kernels import BUCKETS, choices


class Int8(Format):
    """LLM.int8: ``packed`` int8 [out, in], and ``scale`` float32 [out], the largest number of each row.

    On CUDA bitsandbytes multiplies 8-bit inputs with 8-bit weights and keeps outliers apart. Elsewhere the inputs keep
    their precision, which costs nothing there.
    """

    THRESHOLD: ClassVar[float] = 6.0

    def layout(self, rows: int, columns: int) -> TensorShapes:
        return {"packed": ((rows, columns), torch.int8), "scale": ((rows,), torch.float32)}

    def pack(self, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        packed = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
        scale = torch.empty(weight.shape[0], dtype=torch.float32, device=weight.device)
        row = 0
        for slab in slabs(weight):
            numbers, rows = slab.float(), slice(row, row + len(slab))
            scale[rows] = largest = numbers.abs().amax(-1)
            packed[rows] = (numbers * (127 / largest.clamp_min(1e-30)).unsqueeze(-1)).round_().to(torch.int8)
            row += len(slab)
        return {"packed": packed, "scale": scale}

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        matrix: Tensor = stored["packed"].to(dtype)
        return matrix.mul_((stored["scale"] / 127).to(dtype).unsqueeze(-1))

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        if inputs.is_cuda:
            return self.outliers_apart(inputs, stored)
        if (fastest := self.fastest(rows, columns, inputs.device)) is not None:  # offloaded: it is here for this call
            return fastest.linear(inputs, fastest.rearrange(stored), rows, columns)
        return linear(inputs, stored["packed"].to(inputs.dtype)) * (stored["scale"] / 127).to(inputs.dtype)

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        return Int8Rows() if device.type == "cpu" and vectorized() and columns % 32 == 0 else None

    def outliers_apart(self, inputs: Tensor, stored: Tensors) -> Tensor:
        """LLM.int8 itself."""
        import bitsandbytes

        bits_and_bytes()
        state = bitsandbytes.MatmulLtState()
        state.CB, state.SCB, state.threshold, state.has_fp16_weights = (
            stored["packed"],
            stored["scale"],
            self.THRESHOLD,
            False,
        )
        product: Tensor = bitsandbytes.matmul(inputs, stored["packed"], state=state)
        return product


class Int8Rows(Rearranged):
    """``packed`` as it is stored, and ``step`` bfloat16 and ``exact_step`` float32 [out]: a row's integers times it."""

    few = BUCKETS[0]

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        step = stored["scale"] / 127
        return {"packed": stored["packed"], "step": step.bfloat16(), "exact_step": step}

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        flat, packed = inputs.reshape(-1, columns), stored["packed"]

        def by_kernel() -> Tensor:
            return self.few_rows(flat.bfloat16(), stored, rows, flat.dtype)

        def unpacked() -> Tensor:
            return linear(flat, packed.to(flat.dtype)) * stored["exact_step"].to(flat.dtype)

        if not aligned(packed):  # one of a stack
            product = unpacked()
        elif len(flat) < self.few:
            product = by_kernel()
        else:
            product = choices().multiply("Int8", flat, rows, {"packed": by_kernel, "unpacked": unpacked})
        return product.view(*inputs.shape[:-1], rows)

    def looks_up(self, rows: int) -> bool:
        return True

    def lookup(self, indices: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        return stored["packed"][indices].float().mul_(stored["exact_step"][indices].unsqueeze(-1))

    def few_rows(self, inputs: Tensor, stored: Tensors, rows: int, dtype: torch.dtype) -> Tensor:
        return compat.int8_linear(inputs, stored["packed"], stored["step"]).to(dtype)
