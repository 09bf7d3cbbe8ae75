"""ggml's blocks of 256 weights whose groups have a scale and an offset: Q4_K and Q5_K, and Q3_K with scales alone."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from .blocks import Blocks, as_bytes, half, shared
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

    def fitted(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first 16 bytes of every block; scales and offsets as they are stored, float32 [blocks, 8, 1]."""
        groups, levels = Groups.of(weights.view(-1, 8, 32)), (1 << self.bits) - 1
        scale, offset = scale_and_offset(groups, levels, positive_offset=False)
        d = (scale.amax(1, keepdim=True) / STEPS).half().float()
        least = (offset.amin(1, keepdim=True) / -STEPS).half().float()
        by, of = d.clamp_min(TINY), least.clamp_min(TINY)
        scales = (scale / by).round_().clamp_(0, STEPS)
        offsets = (offset / -of).round_().clamp_(0, STEPS)
        error = groups.error(d * scales, -least * offsets, levels)
        # the offsets are fitted again to the rounded scales, and the scales to those
        counted = groups.weight * groups.integers(d * scales, -least * offsets, levels)
        moved = (d * scales * counted.sum(-1, keepdim=True) - groups.total_weighted) / groups.total.clamp_min(TINY)
        moved = (moved / of).round_().clamp_(0, STEPS)
        integers = groups.integers(d * scales, -least * moved, levels)
        counted = groups.weight * integers
        mixed = (groups.weighted * integers).sum(-1, keepdim=True) + least * moved * counted.sum(-1, keepdim=True)
        resized = (mixed / (counted * integers).sum(-1, keepdim=True).clamp_min(TINY) / by).round_().clamp_(0, STEPS)
        better = groups.error(d * resized, -least * moved, levels) < error
        scales, offsets = torch.where(better, resized, scales), torch.where(better, moved, offsets)
        head = torch.cat([as_bytes(d.half()), as_bytes(least.half()), pack_sixes(scales, offsets)], 1)
        return head, d * scales, least * offsets

    def integers(self, weights: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        """The integers of ``weights`` float32 [blocks, 256] by what is stored: uint8 [blocks, 4, 2, 32]."""
        found = (weights.view(-1, 8, 32) + offset).div_(scale.clamp_min(TINY)).round_()
        return found.clamp_(0, (1 << self.bits) - 1).to(torch.uint8).view(-1, 4, 2, 32)

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

    def pack_blocks(self, weights: Tensor) -> Tensor:
        head, scale, offset = self.fitted(weights)
        integers = self.integers(weights, scale, offset)
        return torch.cat([head, (integers[:, :, 0] | integers[:, :, 1] << 4).flatten(1)], 1)

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

    def pack_blocks(self, weights: Tensor) -> Tensor:
        head, scale, offset = self.fitted(weights)
        integers = self.integers(weights, scale, offset)
        fifth = (integers >> 4).view(-1, 8, 32)
        high = fifth[:, 0].clone()
        for index in range(1, 8):
            high |= fifth[:, index] << index
        return torch.cat([head, high, (integers[:, :, 0] & 15 | (integers[:, :, 1] & 15) << 4).flatten(1)], 1)

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

    def pack_blocks(self, weights: Tensor) -> Tensor:
        x = weights.view(-1, 16, 16)
        scales, d = shared(symmetric_scale(Groups.of(x), 4), 32)
        actual = d * scales
        divisor = torch.where(actual == 0, torch.full_like(actual, TINY), actual)
        integers = (x / divisor).round_().clamp_(-4, 3).add_(4).to(torch.uint8).view(-1, 8, 32)
        mask = integers[:, 0] >> 2
        for index in range(1, 8):
            mask = mask | (integers[:, index] >> 2) << index
        pairs = integers.view(-1, 2, 4, 32) & 3
        low = pairs[:, :, 0] | pairs[:, :, 1] << 2 | pairs[:, :, 2] << 4 | pairs[:, :, 3] << 6
        stored = scales.squeeze(-1).add(32).to(torch.uint8)
        first = stored[:, :8] & 15 | (stored[:, 8:] & 15) << 4
        tops = (stored >> 4).view(-1, 4, 4)
        second = tops[:, 0] | tops[:, 1] << 2 | tops[:, 2] << 4 | tops[:, 3] << 6
        return torch.cat([mask, low.flatten(1), first, second, as_bytes(d.half())], 1)

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


def pack_sixes(scales: Tensor, offsets: Tensor) -> Tensor:
    """Eight scales and eight offsets of 6 bits, both [blocks, 8, 1], in ggml's 12 bytes: uint8 [blocks, 12]."""
    s, o = scales.squeeze(-1).to(torch.uint8), offsets.squeeze(-1).to(torch.uint8)
    first = s[:, :4] | (s[:, 4:] >> 4) << 6
    second = o[:, :4] | (o[:, 4:] >> 4) << 6
    return torch.cat([first, second, s[:, 4:] & 15 | (o[:, 4:] & 15) << 4], 1)


def unpack_sixes(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and offsets again: uint8 [blocks, 8] each."""
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = torch.cat([first & 63, third & 15 | (first >> 6) << 4], 1)
    offsets = torch.cat([second & 63, third >> 4 | (second >> 6) << 4], 1)
    return scales, offsets
