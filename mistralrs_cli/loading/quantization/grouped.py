"""Integers of 2 to 6 bits whose groups have a scale and an offset each."""

from __future__ import annotations

import torch
from torch import Tensor

from . import compat
from .bits import pack_bits, padded, unpack_bits
from .format import Format, Rearranged, Tensors, TensorShapes, slabs, vectorized

GROUPS = (64, 32, 16, 8)
SHRINKS = {2: (1.0, 0.85, 0.7, 0.6), 3: (1.0, 0.9, 0.8)}
"""With few levels it pays to cut a group's extremes off; the best of these shares of its span is taken."""


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

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        parts = [self.pack_slab(slab) for slab in slabs(weight)]
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    def pack_slab(self, weight: Tensor) -> dict[str, Tensor]:
        """Quantize a few rows."""
        rows, columns = weight.shape
        groups = weight.float().reshape(rows, -1, group_size(columns))
        levels = (1 << self.bits) - 1
        low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
        best: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        for shrink in SHRINKS.get(self.bits, (1.0,)):
            margin = (high - low) * (1 - shrink) / 2
            offset = (low + margin).bfloat16()
            scale = ((high - low) * shrink / levels).clamp_min(1e-30).bfloat16()
            integers = ((groups - offset.float()) / scale.float()).round_().clamp_(0, levels)
            error = (integers * scale.float() + offset.float()).sub_(groups).square_().sum(-1, keepdim=True)
            if best is None:
                best = integers, scale, offset, error
            else:
                better = error < best[3]
                found = (integers, scale, offset, error)
                best = tuple(torch.where(better, new, old) for new, old in zip(found, best, strict=True))  # type: ignore[assignment]
        assert best is not None
        integers, scale, offset, _ = best
        bytes_ = pack_bits(integers.reshape(rows, columns).to(torch.uint8), self.bits)
        return {"packed": bytes_, "scale": scale.squeeze(-1), "offset": offset.squeeze(-1)}

    def integers(self, stored: Tensors, rows: int, columns: int) -> Tensor:
        """The stored integers: uint8 [out, in]."""
        return unpack_bits(stored["packed"], self.bits, padded(columns))[:, :columns]

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        groups = self.integers(stored, rows, columns).reshape(rows, -1, group_size(columns)).to(dtype)
        scale, offset = stored["scale"].to(dtype), stored["offset"].to(dtype)
        return groups.mul_(scale.unsqueeze(-1)).add_(offset.unsqueeze(-1)).view(rows, columns)

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        tiled = rows % 16 == 0 and group_size(columns) >= 32 and columns % 32 == 0
        return Int4Tiles() if self.bits == 4 and device.type == "cpu" and vectorized() and tiled else None


class Int4Tiles(Rearranged):
    """4-bit groups as torch's CPU kernel reads them. It multiplies in bfloat16, and subtracts 8 from every integer."""

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        rows = stored["packed"].shape[0]
        columns = stored["packed"].shape[1] * 2
        integers = unpack_bits(stored["packed"], 4, columns).int()
        scale, offset = stored["scale"].float(), stored["offset"].float()
        pairs = torch.stack((scale, offset + 8 * scale), -1).transpose(0, 1).bfloat16().contiguous()
        return {"tiles": compat.int4_tiles(integers).view(rows, -1), "pairs": pairs}

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        flat = inputs.reshape(-1, columns).bfloat16()
        pairs = stored["pairs"]
        size = columns // pairs.shape[0]
        product = compat.int4_linear(flat, stored["tiles"], size, pairs)
        return product.to(inputs.dtype).view(*inputs.shape[:-1], rows)


def group_size(columns: int) -> int:
    """How many inputs share a scale: 64 where that divides them."""
    return next((size for size in GROUPS if columns % size == 0), columns)
