"""The 4-bit floats of bitsandbytes."""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
from torch import Tensor

from . import compat
from .format import Format, Rearranged, Tensors, TensorShapes, slabs

BLOCK = 64


class Float4(Format):
    """The 4-bit floats of bitsandbytes: ``packed`` uint8, two numbers a byte, and the largest of every 64 numbers.

    The number of columns must be a multiple of 64: the CPU code of bitsandbytes 0.50 starts a block with every row when
    it unpacks, but not when it packs.
    """

    def __init__(self, kind: Literal["nf4", "fp4"]) -> None:
        self.kind = kind

    def layout(self, rows: int, columns: int) -> TensorShapes:
        numbers = rows * columns
        return {"packed": ((numbers // 2, 1), torch.uint8), "absmax": ((numbers // BLOCK,), torch.float32)}

    def pack(self, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        bits_and_bytes()
        parts = [
            torch.ops.bitsandbytes.quantize_4bit(slab.contiguous(), BLOCK, self.kind, torch.uint8)
            for slab in slabs(weight)
        ]
        return {key: torch.cat([part[index] for part in parts]) for index, key in enumerate(("packed", "absmax"))}

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        bits_and_bytes()
        found: Tensor = torch.ops.bitsandbytes.dequantize_4bit(
            stored["packed"], stored["absmax"], BLOCK, self.kind, (rows, columns), dtype
        )
        return found

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        bits_and_bytes()
        product: Tensor = torch.ops.bitsandbytes.gemm_4bit(
            inputs, stored["packed"], (rows, columns), stored["absmax"], BLOCK, self.kind
        )
        return product

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        tiled = rows % 32 == 0  # which the kernel asserts
        return Float4Tiles(self.kind, rows, columns) if tiled and device.type == "cpu" and multiplies_4bit() else None


class Float4Tiles(Rearranged):
    """4-bit floats as the kernel of bitsandbytes for CPUs with AVX512-BF16 reads them."""

    kept = ("tiles", "absmax")

    def __init__(self, kind: Literal["nf4", "fp4"], rows: int, columns: int) -> None:
        self.kind, self.rows, self.columns = kind, rows, columns

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        functional = bits_and_bytes()
        state = functional.QuantState(
            absmax=stored["absmax"].clone(),
            shape=torch.Size((self.rows, self.columns)),
            code=self.code,
            blocksize=BLOCK,
            quant_type=self.kind,
            dtype=torch.bfloat16,
        )
        tiles, absmax = compat.float4_tiles(functional, stored["packed"], state)
        return {"tiles": tiles, "absmax": absmax}

    @property
    def code(self) -> Tensor:
        """The 16 values of a 4-bit float: float32 [16]."""
        code: Tensor = bits_and_bytes().get_4bit_type(self.kind, device="cpu")
        return code

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        product: Tensor = torch.ops.bitsandbytes.gemv_4bit(
            inputs, stored["tiles"], (rows, columns), stored["absmax"], self.code, BLOCK
        )
        return product


def multiplies_4bit() -> bool:
    """Whether bitsandbytes has its 4-bit kernel for this CPU."""
    return bool(bits_and_bytes().has_avx512bf16())


@cache
def bits_and_bytes():  # type: ignore[no-untyped-def]  # a module without types
    """bitsandbytes' functions, imported late: importing takes half a second and logs a lot."""
    import logging

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # int8 logs a cast for every layer and token
    import bitsandbytes.functional

    return bitsandbytes.functional
