"""4-bit weights in the order that torch's CPU kernel reads, made without its detour by way of 32-bit integers.

The kernel wants, for blocks of as many rows as two of the CPU's registers hold, the weights of one column next to each
other: a byte holds row ``n`` of the block in its low and row ``n + half`` in its high half
(``_convert_weight_to_int4pack_for_cpu`` in PyTorch's ``aten/src/ATen/native/cpu/int4mm_kernel.cpp``).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .format import Rearranged, Tensors, vectorized

if TYPE_CHECKING:
    from .grouped import Grouped
    from .k_blocks import KBlocks

GROUP = 32  # weights that share a scale: the least that the kernel knows


class Tiles(Rearranged):
    """``tiles`` uint8 [rows, columns / 2] and ``pairs`` bfloat16 [groups, rows, 2]: a scale and an offset each.

    The kernel multiplies in bfloat16, and takes 8 from every integer.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        flat = inputs.reshape(-1, columns).bfloat16()
        product = multiply(flat, stored["tiles"], stored["pairs"])
        return product.to(inputs.dtype).view(*inputs.shape[:-1], rows)


class IntegerTiles(Tiles):
    """4-bit integers with a scale and an offset for each group of a row."""

    def __init__(self, stored: Grouped, rows: int, columns: int) -> None:
        super().__init__(rows, columns)
        self.stored = stored

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        scale, offset = stored["scale"].float(), stored["offset"].float()
        integers = self.stored.integers(stored, self.rows, self.columns)
        return {"tiles": to_tiles(integers), "pairs": pairs_of(scale, offset + 8 * scale)}


class GroupTiles(Tiles):
    """ggml's blocks of four bits whose groups have a scale and an offset."""

    def __init__(self, blocks: KBlocks, rows: int, columns: int) -> None:
        super().__init__(rows, columns)
        self.blocks = blocks

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        integers = self.blocks.unpack_integers(stored["blocks"]).view(self.rows, self.columns)
        scale, offset = (part.view(self.rows, -1) for part in self.blocks.scale_and_offset(stored["blocks"]))
        return {"tiles": to_tiles(integers), "pairs": pairs_of(scale, 8 * scale - offset)}


class PairTiles(Tiles):
    """8-bit integers as two matrices of 4 bits: ``16 · high + low``, one kernel call for both.

    ``tiles`` holds the high halves of all rows, then the low ones, [2 · rows, columns / 2].
    """

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        from .blocks import half

        blocks = stored["blocks"]
        integers = (blocks[:, 2:].contiguous().view(self.rows, self.columns)) ^ 128  # from -128 … 127 to 0 … 255
        scale = half(blocks, 0).view(self.rows, -1)
        halves = to_tiles(torch.cat([integers >> 4, integers & 15]))
        zero = torch.zeros_like(scale)
        return {"tiles": halves, "pairs": torch.cat([pairs_of(16 * scale, zero), pairs_of(scale, 8 * scale)], 1)}

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        flat = inputs.reshape(-1, columns).bfloat16()
        product = multiply(flat, stored["tiles"], stored["pairs"])
        product = product[:, :rows].to(inputs.dtype) + product[:, rows:].to(inputs.dtype)
        return product.view(*inputs.shape[:-1], rows)


def tiled(rows: int, columns: int, device: torch.device) -> bool:
    """Whether the kernel multiplies a matrix of this shape, on a CPU that it is compiled for."""
    return device.type == "cpu" and vectorized() and rows % 16 == 0 and columns % GROUP == 0


def multiply(flat: Tensor, tiles: Tensor, pairs: Tensor) -> Tensor:
    """``flat`` bfloat16 [inputs, columns] times the transposed tiles: bfloat16 [inputs, rows]."""
    product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(flat, tiles, flat.shape[1] // pairs.shape[0], pairs)
    return product


def pairs_of(scale: Tensor, offset: Tensor) -> Tensor:
    """Scales and offsets float32 [rows, groups] as the kernel reads them: bfloat16 [groups, rows, 2]."""
    return torch.stack((scale, offset), -1).transpose(0, 1).bfloat16().contiguous()


def to_tiles(integers: Tensor) -> Tensor:
    """Integers uint8 [rows, columns] below 16 in the kernel's order: uint8 [rows, columns / 2]."""
    rows, columns = integers.shape
    block = block_rows()
    if block is None or rows % block:
        tiles: Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(integers.int(), 1)
        return tiles.view(rows, -1)
    halves = integers.view(-1, 2, block // 2, columns)
    return (halves[:, 0] | halves[:, 1] << 4).transpose(1, 2).contiguous().view(rows, columns // 2)


@cache
def block_rows() -> int | None:
    """Rows of one block of this CPU's kernel; ``None`` where torch's own conversion does not show the known order."""
    probe = torch.arange(128, dtype=torch.int32).remainder(13)[:, None] + torch.arange(32, dtype=torch.int32) % 3
    expected = torch.ops.aten._convert_weight_to_int4pack_for_cpu(probe, 1).view(128, -1)
    bytes_ = probe.to(torch.uint8)
    for block in (32, 64):
        halves = bytes_.view(-1, 2, block // 2, 32)
        if torch.equal((halves[:, 0] | halves[:, 1] << 4).transpose(1, 2).contiguous().view(128, 16), expected):
            return block
    return None
