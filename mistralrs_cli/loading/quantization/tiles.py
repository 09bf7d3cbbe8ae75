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
from torch.nn.functional import linear

from .compat import int4_linear, int4_tiles
from .format import Rearranged, Tensors, vectorized
from .kernels import BUCKETS, choices

GROUP = 32  # weights that share a scale: the least that the kernel knows

Parts = Callable[[Tensors], tuple[Tensor, Tensor, Tensor]]
"""From stored tensors: integers uint8 [rows, columns], their scale and offset float32 [rows, groups]."""


class GroupTiles(Rearranged):
    """4-bit integers ``q`` with a scale and an offset for each group of a row, ``w = q · scale + offset``.

    ``tiles`` uint8 [rows, columns / 2], ``pairs`` bfloat16 [groups, rows, 2]: scales, and offsets for integers from
    which 8 is taken. The kernel multiplies in bfloat16.
    """

    kept = ("tiles", "pairs")
    few = BUCKETS[0]

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        integers, scale, offset = self.parts(stored)
        return {"tiles": to_tiles(integers), "pairs": pairs_of(scale, offset + 8 * scale)}

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        flat = inputs.reshape(-1, columns)
        if len(flat) < self.few or (block := block_rows()) is None or rows % block:
            product = self.packed(flat, stored, rows)
        else:
            product = choices().multiply(
                type(self).__name__,
                flat,
                rows,
                {
                    "packed": lambda: self.packed(flat, stored, rows),
                    "unpacked": lambda: linear(flat, self.unpacked(stored, rows, columns, inputs.dtype)),
                },
            )
        return product.view(*inputs.shape[:-1], rows)

    def packed(self, flat: Tensor, stored: Tensors, rows: int) -> Tensor:
        """The product of ``flat`` [tokens, columns] by the kernel for tiles: [tokens, rows]."""
        return self.few_rows(flat.bfloat16(), stored, rows, flat.dtype)

    def few_rows(self, inputs: Tensor, stored: Tensors, rows: int, dtype: torch.dtype) -> Tensor:
        return multiply(inputs, stored).to(dtype)

    def looks_up(self, rows: int) -> bool:
        return (block := block_rows()) is not None and rows % block == 0

    def lookup(self, indices: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        return rows_from_tiles(stored["tiles"], stored["pairs"], indices)

    def unpacked(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """The matrix [rows, columns] again."""
        return from_tiles(stored["tiles"], stored["pairs"], dtype)


class PairTiles(GroupTiles):
    """8-bit integers ``q`` from 0 as two matrices of 4 bits, ``16 · high + low``, with one kernel call for both.

    ``tiles`` holds the high halves of all rows, then the low ones, [2 · rows, columns / 2].
    """

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        integers, scale, offset = self.parts(stored)
        halves = to_tiles(torch.cat([integers >> 4, integers & 15]))
        high, low = pairs_of(16 * scale, offset + 128 * scale), pairs_of(scale, 8 * scale)
        return {"tiles": halves, "pairs": torch.cat([high, low], 1)}

    def few_rows(self, inputs: Tensor, stored: Tensors, rows: int, dtype: torch.dtype) -> Tensor:
        high, low = multiply(inputs, stored).to(dtype).split_with_sizes((rows, rows), 1)
        return high + low

    def lookup(self, indices: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        tiles, pairs = stored["tiles"], stored["pairs"]
        return rows_from_tiles(tiles, pairs, indices).add_(rows_from_tiles(tiles, pairs, indices + rows))

    def unpacked(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        halves = from_tiles(stored["tiles"], stored["pairs"], dtype)
        return halves[:rows].add_(halves[rows:])


def tiled(rows: int, columns: int, device: torch.device) -> bool:
    """Whether the kernel multiplies a matrix of this shape, on a CPU that it is compiled for."""
    return device.type == "cpu" and vectorized() and rows % 16 == 0 and columns % GROUP == 0


def multiply(inputs: Tensor, stored: Tensors) -> Tensor:
    """``inputs`` bfloat16 [tokens, columns] times the transposed tiles: bfloat16 [tokens, rows]."""
    pairs = stored["pairs"]
    return int4_linear(inputs, stored["tiles"], inputs.shape[1] // pairs.shape[0], pairs)


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


def from_tiles(tiles: Tensor, pairs: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix in tiles again, [rows, columns], where whole blocks of rows were put into them by ``to_tiles``."""
    block = block_rows()
    assert block is not None, "made by another kernel"
    rows, columns = tiles.shape[0], 2 * tiles.shape[1]
    halves = tiles.view(-1, columns, block // 2).transpose(1, 2)
    integers = torch.stack([halves & 15, halves >> 4], 1).view(rows, len(pairs), -1)
    scale, offset = pairs.to(dtype).permute(2, 1, 0).contiguous().unsqueeze(-1)
    return torch.addcmul(offset - 8 * scale, integers.to(dtype), scale).view(rows, columns)


def rows_from_tiles(tiles: Tensor, pairs: Tensor, indices: Tensor) -> Tensor:
    """Some rows of a matrix that ``from_tiles`` can unpack, by their ``indices`` int64 [n]: float32 [n, columns]."""
    block = block_rows()
    assert block is not None, "made by another kernel"
    place = (indices % block).unsqueeze(-1)
    columns = 2 * tiles.shape[1]
    bytes_ = tiles.view(-1, columns, block // 2)[indices // block, :, indices % (block // 2)]
    integers = torch.where(place < block // 2, bytes_ & 15, bytes_ >> 4).view(len(indices), len(pairs), -1)
    scale, offset = pairs[:, indices].float().permute(2, 1, 0).unsqueeze(-1)
    return torch.addcmul(offset - 8 * scale, integers.float(), scale).reshape(len(indices), columns)


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
