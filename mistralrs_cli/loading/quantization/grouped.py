"""Integers of 2 to 6 bits whose groups have a scale and an offset each."""

from __future__ import annotations

import torch
from torch import Tensor

from .bits import pack_bits, padded, unpack_bits
from .format import Format, Rearranged, Tensors, TensorShapes, slabs
from .search import TINY, Groups, own_weight, scale_and_offset
from .tiles import GROUP, GroupTiles, tiled

GROUPS = (64, 32, 16, 8)


class Grouped(Format):
    """Integers of 2 to 6 bits; each group of inputs has a scale and an offset: w = q · scale + offset.

    ``packed`` uint8 [out, in · bits / 8] holds the planes of bits one after the other, and in each plane byte j holds
    columns j, j + n, j + 2n …, so that unpacking needs no shuffling. ``scale`` and ``offset`` bfloat16 [out, groups].
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def layout(self, rows: int, columns: int) -> TensorShapes:
        groups = (rows, columns // group_size(columns))
        return {
            "packed": ((rows, padded(columns) * self.bits // 8), torch.uint8),
            "scale": (groups, torch.bfloat16),
            "offset": (groups, torch.bfloat16),
        }

    def pack(self, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        parts = [self.pack_slab(slab, importance) for slab in slabs(weight)]
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    def pack_slab(self, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        """Quantize a few rows."""
        rows, columns = weight.shape
        levels = (1 << self.bits) - 1
        x = weight.float().reshape(-1, group_size(columns)).t().contiguous()
        low = x.amin(-2, keepdim=True)
        counts = None if importance is None else importance.view(-1, len(x)).repeat(rows, 1).t()
        groups = Groups(x - low, own_weight(x, counts))
        scale, offset = scale_and_offset(groups, levels)
        scale, offset = scale.clamp_min_(TINY).bfloat16(), offset.add_(low).bfloat16()
        integers = groups.integers(scale.float(), offset.float() - low, levels).t().reshape(rows, columns)
        bytes_ = pack_bits(integers.to(torch.uint8), self.bits)
        return {"packed": bytes_, "scale": scale.view(rows, -1), "offset": offset.view(rows, -1)}

    def integers(self, stored: Tensors, rows: int, columns: int) -> Tensor:
        """The stored integers: uint8 [out, in]."""
        return unpack_bits(stored["packed"], self.bits, padded(columns))[:, :columns]

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        groups = self.integers(stored, rows, columns).reshape(rows, -1, group_size(columns)).to(dtype)
        scale, offset = stored["scale"].to(dtype), stored["offset"].to(dtype)
        return groups.mul_(scale.unsqueeze(-1)).add_(offset.unsqueeze(-1)).view(rows, columns)

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        if self.bits != 4 or group_size(columns) < GROUP or not tiled(rows, columns, device):
            return None

        def parts(stored: Tensors) -> tuple[Tensor, Tensor, Tensor]:
            return self.integers(stored, rows, columns), stored["scale"].float(), stored["offset"].float()

        return GroupTiles(parts)


def group_size(columns: int) -> int:
    """How many inputs share a scale: 64 where that divides them."""
    return next((size for size in GROUPS if columns % size == 0), columns)
