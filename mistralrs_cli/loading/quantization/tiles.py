"""4-bit weights in the order that torch's CPU kernel reads, made without its detour by way of 32-bit integers.

The kernel wants, for blocks of as many rows as two of the CPU's registers hold, the weights of one column next to each
other: a byte holds row ``n`` of the block in its low and row ``n + half`` in its high half (PyTorch's
``aten/src/ATen/native/cpu/int4mm_kernel.cpp``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from .compat import int4_linear, int4_tiles
from .format import Rearranged, Tensors, vectorized

GROUP = 32  # weights that share a scale: the least that the kernel knows

Parts = Callable[[Tensors], tuple[Tensor, Tensor, Tensor]]
"""From stored tensors: integers uint8 [rows, columns], their scale and offset float32 [rows, groups]."""


class GroupTiles(Rearranged):
    """4-bit integers ``q`` with a scale and an offset for each group of a row, ``w = q · scale + offset``.

    ``tiles`` uint8 [rows, columns / 2], ``pairs`` bfloat16 [groups, rows, 2]: scales, and offsets for integers from
    which 8 is taken. The kernel multiplies in bfloat16.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        integers, scale, offset = self.parts(stored)
        return {"tiles": to_tiles(integers), "pairs": pairs_of(scale, offset + 8 * scale)}

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        product = multiply(inputs.reshape(-1, columns), stored)
        return product.to(inputs.dtype).view(*inputs.shape[:-1], rows)


class PairTiles(GroupTiles):
    """8-bit integers ``q`` from 0 as two matrices of 4 bits, ``16 · high + low``, with one kernel call for both.

    ``tiles`` holds the high halves of all rows, then the low ones, [2 · rows, columns / 2].
    """

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        integers, scale, offset = self.parts(stored)
        halves = to_tiles(torch.cat([integers >> 4, integers & 15]))
        high, low = pairs_of(16 * scale, offset + 128 * scale), pairs_of(scale, 8 * scale)
        return {"tiles": halves, "pairs": torch.cat([high, low], 1)}

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        product = multiply(inputs.reshape(-1, columns), stored).view(-1, 2, rows).to(inputs.dtype)
        return (product[:, 0] + product[:, 1]).view(*inputs.shape[:-1], rows)


def tiled(rows: int, columns: int, device: torch.device) -> bool:
    """Whether the kernel multiplies a matrix of this shape, on a CPU that it is compiled for."""
    return device.type == "cpu" and vectorized() and rows % 16 == 0 and columns % GROUP == 0


def multiply(inputs: Tensor, stored: Tensors) -> Tensor:
    """``inputs`` [tokens, columns] times the transposed tiles: bfloat16 [tokens, rows]."""
    pairs = stored["pairs"]
    return int4_linear(inputs.bfloat16(), stored["tiles"], inputs.shape[1] // pairs.shape[0], pairs)


def pairs_of(scale: Tensor, offset: Tensor) -> Tensor:
    """Scales and offsets float32 [rows, groups] as the kernel reads them: bfloat16 [groups, rows, 2]."""
    return torch.stack((scale, offset), -1).transpose(0, 1).bfloat16().contiguous()


def to_tiles(integers: Tensor) -> Tensor:
    """Integers uint8 [rows, columns] below 16 in the kernel's order: uint8 [rows, columns / 2]."""
    rows, columns = integers.shape
    block = block_rows()
    if block is None or rows % block:
        return int4_tiles(integers.int()).view(rows, -1)
    halves = integers.view(-1, 2, block // 2, columns)
    return (halves[:, 0] | halves[:, 1] << 4).transpose(1, 2).contiguous().view(rows, columns // 2)


@cache
def block_rows() -> int | None:
    """Rows of one block of this CPU's kernel; ``None`` where torch's own conversion does not show the known order."""
    probe = torch.arange(128, dtype=torch.int32).remainder(13)[:, None] + torch.arange(32, dtype=torch.int32) % 3
    expected = int4_tiles(probe).view(128, -1)
    bytes_ = probe.to(torch.uint8)
    for block in (32, 64):
        halves = bytes_.view(-1, 2, block // 2, 32)
        if torch.equal((halves[:, 0] | halves[:, 1] << 4).transpose(1, 2).contiguous().view(128, 16), expected):
            return block
    return None
