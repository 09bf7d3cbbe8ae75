"""ggml's blocks of 256 weights whose groups have a scale and an offset: Q4_K and Q5_K, and Q3_K with scales alone."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from .blocks import Blocks, as_bytes, block_weight, columns, half, shared, signed_integers, stacked, to_bytes
from .format import Rearranged, Tensors
from .search import TINY, Groups, scale_and_offset, symmetric_scale
from .tiles import GroupTiles, tiled

STEPS = 63  # the largest 6-bit scale or offset


class KBlocks(Blocks):
    """Eight groups of 32 weights, each with a 6-bit scale and a 6-bit offset in units of the block's two float16.

    ``w = q · (d · scale) - dmin · offset``. ``d`` and ``dmin`` come first, then 12 bytes of scales and offsets.
    """

    size = 256
    bits: int

    def fitted(self, weights: Tensor, importance: Tensor | None) -> tuple[Tensor, Tensor]:
        """The first 16 bytes of every block, uint8 [blocks, 16], and the integers, float32 [8, 32, blocks]."""
        x, levels = columns(weights, 8), (1 << self.bits) - 1
        low = x.amin(-2, keepdim=True).clamp_max_(0)
        groups = Groups(x - low, block_weight(x, importance))
        scale, offset = scale_and_offset(groups, levels)
        down = offset.add_(low).clamp_max_(0).neg_()
        d = (scale.amax(0, keepdim=True) / STEPS).half().float()
        least = (down.amax(0, keepdim=True) / STEPS).half().float()
        per_d, per_least = d.clamp_min(TINY).reciprocal_(), least.clamp_min(TINY).reciprocal_()
        scale = d * (scale * per_d).round_().clamp_(0, STEPS)
        down = least * (down * per_least).round_().clamp_(0, STEPS)
        offset = -low - down
        # the offsets are fitted again to the rounded scales, and the scales to those
        fit = groups.fit(groups.integers(scale, offset, levels))
        again = least * (-low - fit.offset(scale)).mul_(per_least).round_().clamp_(0, STEPS)
        moved = -low - again
        resized = d * fit.scale(moved).mul_(per_d).round_().clamp_(0, STEPS)
        better = fit.error(resized, moved) < fit.error(scale, offset)
        scale, down = torch.where(better, resized, scale), torch.where(better, again, down)
        sixes = pack_sixes((scale * per_d).round_(), (down * per_least).round_())
        head = torch.cat([as_bytes(d.half()), as_bytes(least.half()), sixes], 1)
        return head, groups.integers(scale, -low - down, levels)

    def scale_and_offset(self, blocks: Tensor) -> tuple[Tensor, Tensor]:
        """What is stored of scales and offsets: float32 [blocks, 8] each, ``w = q · scale - offset``."""
        scales, offsets = unpack_sixes(blocks[:, 4:16])
        return half(blocks, 0) * scales, half(blocks, 2) * offsets

    def unpack_blocks(self, blocks: Tensor) -> Tensor:
        scale, offset = self.scale_and_offset(blocks)
        numbers = self.unpack_integers(blocks).view(-1, 8, 32) * scale.unsqueeze(-1)
        return numbers.sub_(offset.unsqueeze(-1)).view(-1, 256)

    @abstractmethod
    def unpack_integers(self, blocks: Tensor) -> Tensor:
        """The stored integers: uint8 [blocks, 256]."""


class Q4_K(KBlocks):
    """Four bits a weight: ``qs`` [128], 32 bytes for two groups: one in their low halves, the next in their high."""

    bits, bytes = 4, 144

    def pack_blocks(self, weights: Tensor, importance: Tensor | None = None) -> Tensor:
        head, integers = self.fitted(weights, importance)
        return torch.cat([head, to_bytes(in_pairs(integers))], 1)

    def unpack_integers(self, blocks: Tensor) -> Tensor:
        pairs = blocks[:, 16:].reshape(-1, 4, 1, 32)
        return torch.cat([pairs & 15, pairs >> 4], 2).view(-1, 256)

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        if not tiled(rows, columns, device):
            return None

        def parts(stored: Tensors) -> tuple[Tensor, Tensor, Tensor]:
            scale, offset = self.scale_and_offset(stored["blocks"])
            integers = self.unpack_integers(stored["blocks"]).view(rows, columns)
            return integers, scale.view(rows, -1), -offset.view(rows, -1)

        return GroupTiles(parts)


class Q5_K(KBlocks):
    """Five bits a weight: ``qh`` [32], a bit for each group, then ``qs`` as in ``Q4_K``."""

    bits, bytes = 5, 176

    def pack_blocks(self, weights: Tensor, importance: Tensor | None = None) -> Tensor:
        head, integers = self.fitted(weights, importance)
        fifth = (integers / 16).floor_()
        low = torch.sub(integers, fifth, alpha=16, out=integers)
        return torch.cat([head, to_bytes(stacked(fifth, 2)), to_bytes(in_pairs(low))], 1)

    def unpack_integers(self, blocks: Tensor) -> Tensor:
        pairs = blocks[:, 48:].reshape(-1, 4, 1, 32)
        low = torch.cat([pairs & 15, pairs >> 4], 2).view(-1, 8, 32)
        high = blocks[:, 16:48]
        return torch.stack([low[:, index] | (high >> index & 1) << 4 for index in range(8)], 1).view(-1, 256)


class Q3_K(Blocks):
    """Three bits a weight; every 16 share a 6-bit scale, every 256 a float16.

    ``hmask`` [32], the third bits; ``qs`` [64], the two others; ``scales`` [12]; ``d`` float16.
    """

    size, bytes = 256, 110

    def pack_blocks(self, weights: Tensor, importance: Tensor | None = None) -> Tensor:
        x = columns(weights, 16)
        scales, d = shared(symmetric_scale(Groups(x, block_weight(x, importance)), 4), 32)
        integers = signed_integers(x, d * scales, 4).view(8, 32, -1)
        third = (integers / 4).floor_()
        pairs = torch.sub(integers, third, alpha=4, out=integers).view(2, 4, 32, -1)
        stored = by_block(scales).add_(32).to(torch.uint8)
        first = stored[:, :8] & 15 | (stored[:, 8:] & 15) << 4
        tops = (stored >> 4).view(-1, 4, 4)
        second = tops[:, 0] | tops[:, 1] << 2 | tops[:, 2] << 4 | tops[:, 3] << 6
        bits = [to_bytes(stacked(third, 2)), to_bytes(stacked(pairs, 4).view(64, -1))]
        return torch.cat([*bits, first, second, as_bytes(d.half())], 1)

    def unpack_blocks(self, blocks: Tensor) -> Tensor:
        mask, low = blocks[:, :32], blocks[:, 32:96].reshape(-1, 2, 1, 32)
        pairs = torch.cat([low >> shift & 3 for shift in (0, 2, 4, 6)], 2).view(-1, 8, 32)
        thirds = torch.stack([mask >> index & 1 for index in range(8)], 1)
        integers = (pairs | thirds << 2).to(torch.int8) - 4
        first, second = blocks[:, 96:104], blocks[:, 104:108]
        nibbles = torch.cat([first & 15, first >> 4], 1)
        tops = torch.cat([second >> shift & 3 for shift in (0, 2, 4, 6)], 1)
        scales = ((nibbles | tops << 4).to(torch.int8) - 32) * half(blocks, 108)
        return (integers.view(-1, 16, 16) * scales.unsqueeze(-1)).view(-1, 256)


def in_pairs(integers: Tensor) -> Tensor:
    """Two groups in one: whole numbers below 16, float32 [8, 32, blocks], as bytes [4 · 32, blocks]."""
    return torch.add(integers[::2], integers[1::2], alpha=16).view(128, -1)


def by_block(numbers: Tensor) -> Tensor:
    """One number a group, [groups, 1, blocks], as [blocks, groups]."""
    return numbers.squeeze(1).t().contiguous()


def pack_sixes(scales: Tensor, offsets: Tensor) -> Tensor:
    """Eight scales and eight offsets of 6 bits, float32 [8, 1, blocks], in ggml's 12 bytes: uint8 [blocks, 12]."""
    both = torch.cat([scales, offsets], 1)
    high = (both[4:] / 16).floor_()
    low = torch.sub(both[4:], high, alpha=16)
    first = torch.add(both[:4], high, alpha=64).transpose(0, 1)
    last = torch.add(low[:, :1], low[:, 1:], alpha=16).transpose(0, 1)
    return to_bytes(torch.cat([first, last]).view(12, -1))


def unpack_sixes(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and offsets again: uint8 [blocks, 8] each."""
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = torch.cat([first & 63, third & 15 | (first >> 6) << 4], 1)
    offsets = torch.cat([second & 63, third >> 4 | (second >> 6) << 4], 1)
    return scales, offsets
