"""Weights in the blocks of ggml, byte for byte: what GGUF files hold.

A block is 32 or 256 weights that follow each other in a matrix [out, in], with their scales. The layouts are those of
https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h; no ggml library is needed to write or read them.
"""

from __future__ import annotations

from abc import abstractmethod
from math import gcd

import torch
from torch import Tensor

from .format import Format, Rearranged, Tensors, TensorShapes
from .search import TINY, Groups, farthest, own_weight, symmetric_scale
from .tiles import PairTiles, tiled

CHUNK = 1 << 18
"""Weights that are quantized at once: enough that calling torch costs little, few enough for a processor's cache."""
LARGEST = 2e6
"""The largest weight: with it the float16 scale of every type is finite."""


class Blocks(Format):
    """``blocks`` uint8 [out · in / size, bytes], in the order of the matrix; ``size`` must divide the whole of it."""

    size: int
    bytes: int

    def fits(self, rows: int, columns: int) -> bool:
        """Whether a matrix is whole blocks."""
        return rows * columns % self.size == 0

    def layout(self, rows: int, columns: int) -> TensorShapes:
        return {"blocks": ((rows * columns // self.size, self.bytes), torch.uint8)}

    def pack(self, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        flat = weight.reshape(-1, self.size)
        step = max(1, CHUNK // self.size)
        counts = None if importance is None else by_block(importance, self.size)
        blocks = torch.empty(len(flat), self.bytes, dtype=torch.uint8, device=flat.device)
        for start in range(0, len(flat), step):
            chunk = within(flat[start : start + step].float())
            rows = torch.arange(start, start + len(chunk), device=flat.device)
            packed = self.pack_blocks(chunk, None if counts is None else counts[rows % len(counts)])
            blocks[start : start + len(chunk)] = packed
        return {"blocks": blocks}

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        return self.unpack_blocks(stored["blocks"]).to(dtype).view(rows, columns)

    @abstractmethod
    def pack_blocks(self, weights: Tensor, importance: Tensor | None = None) -> Tensor:
        """Quantize ``weights`` float32 [blocks, size], each with its ``importance``: uint8 [blocks, bytes].

        No weight is larger than ``LARGEST``; a block may be NaN, and is NaN then when it is unpacked.
        """

    @abstractmethod
    def unpack_blocks(self, blocks: Tensor) -> Tensor:
        """The weights again: float32 [blocks, size]."""


class Q8_0(Blocks):
    """Integers of 8 bits; every 32 share a scale: float16 ``d``, int8 ``q`` [32]."""

    size, bytes = 32, 34

    def pack_blocks(self, weights: Tensor, importance: Tensor | None = None) -> Tensor:
        scale = (weights.abs().amax(-1, keepdim=True) / 127).half()
        # of the float16 only 8 bits of precision are used, so that kernels which hold scales in bfloat16 lose nothing
        scale = scale.bfloat16().float()
        stored = scale.half()
        inverse = torch.where(stored == 0, torch.zeros_like(scale), scale.reciprocal())
        blocks = torch.empty(len(weights), self.bytes, dtype=torch.uint8, device=weights.device)
        blocks[:, :2] = as_bytes(stored)
        blocks[:, 2:].view(torch.int8).copy_((weights * inverse).round_().clamp_(-127, 127))
        return blocks

    def unpack_blocks(self, blocks: Tensor) -> Tensor:
        return half(blocks, 0) * blocks[:, 2:].view(torch.int8).float()

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        if not tiled(rows, columns, device):
            return None

        def parts(stored: Tensors) -> tuple[Tensor, Tensor, Tensor]:
            blocks = stored["blocks"]
            integers = blocks[:, 2:].contiguous().view(rows, columns) ^ 128  # -128 … 127 become 0 … 255
            scale = half(blocks, 0).view(rows, -1)
            return integers, scale, -128 * scale

        return PairTiles(parts)


class IQ4_NL(Blocks):
    """Four bits that name one of 16 values; every 32 share a scale: float16 ``d``, 16 bytes of indices.

    The low halves of the bytes hold the first 16 indices, the high halves the others.
    """

    size, bytes = 32, 18
    VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)

    def pack_blocks(self, weights: Tensor, importance: Tensor | None = None) -> Tensor:
        values = torch.tensor(self.VALUES, dtype=torch.float32, device=weights.device)
        # the middle of two values is a multiple of a half: of every half there is, the index of the nearest value
        halves = torch.arange(2 * self.VALUES[0], 2 * self.VALUES[-1] + 1, device=weights.device) / 2
        indices = torch.bucketize(halves, (values[1:] + values[:-1]) / 2)
        nearest = values[indices]

        def numbered(scaled: Tensor) -> Tensor:
            return scaled.mul_(2).ceil_().sub_(2 * self.VALUES[0]).nan_to_num_(0).clamp_(0, len(halves) - 1).int()

        weight = weights.square() if importance is None else weights.square().mul_(importance)
        weighted = weight * weights
        largest = weights.gather(-1, weights.abs().argmax(-1, keepdim=True))
        best = torch.zeros_like(largest)
        gain = torch.zeros_like(largest)  # the share of the weighted square that a scale explains
        for step in range(-7, 8):
            inverse = (step + self.VALUES[0]) / torch.where(largest.abs() < TINY, torch.ones_like(largest), largest)
            found = nearest[numbered(weights * inverse)]
            mixed, square = (weighted * found).sum(-1, keepdim=True), (weight * found * found).sum(-1, keepdim=True)
            better = mixed.square() > gain * square
            best = torch.where(better, mixed / square.clamp_min(TINY), best)
            gain = torch.where(better, mixed.square() / square.clamp_min(TINY), gain)
        scale = torch.where(largest.isnan(), largest, best).half()
        divisor = torch.where(scale == 0, torch.ones_like(best), scale.float())
        chosen = indices.to(torch.uint8)[numbered(weights / divisor)]
        return torch.cat([as_bytes(scale), chosen[:, :16] | (chosen[:, 16:] << 4)], 1)

    def unpack_blocks(self, blocks: Tensor) -> Tensor:
        values = torch.tensor(self.VALUES, dtype=torch.float32, device=blocks.device)
        bytes_ = blocks[:, 2:]
        return half(blocks, 0) * values[torch.cat([bytes_ & 15, bytes_ >> 4], 1).int()]


class Q6_K(Blocks):
    """Integers of 6 bits; every 16 share an 8-bit scale, every 256 a float16.

    ``ql`` [128] low halves, ``qh`` [64] high pairs of bits, ``scales`` int8 [16], ``d`` float16.
    """

    size, bytes = 256, 210

    def pack_blocks(self, weights: Tensor, importance: Tensor | None = None) -> Tensor:
        x = columns(weights, 16)
        scales, d = shared(symmetric_scale(Groups(x, block_weight(x, importance)), 32), 128)
        integers = signed_integers(x, d * scales, 32).view(2, 4, 32, -1)
        high = (integers / 16).floor_()
        integers = torch.sub(integers, high, alpha=16, out=integers)
        low = torch.add(integers[:, :2], integers[:, 2:], alpha=16)
        return torch.cat(
            [
                to_bytes(low.view(128, -1)),
                to_bytes(stacked(high, 4).view(64, -1)),
                scales.view(16, -1).t().to(torch.int8).contiguous().view(torch.uint8),
                as_bytes(d.half()),
            ],
            1,
        )

    def unpack_blocks(self, blocks: Tensor) -> Tensor:
        low, high = blocks[:, :128].reshape(-1, 2, 1, 2, 32), blocks[:, 128:192].reshape(-1, 2, 1, 32)
        nibbles = torch.cat([low & 15, low >> 4], 2).view(-1, 2, 4, 32)
        pairs = torch.cat([(high >> shift) & 3 for shift in (0, 2, 4, 6)], 2)
        integers = (nibbles | pairs << 4).to(torch.int8) - 32
        scales = blocks[:, 192:208].view(torch.int8).float() * half(blocks, 208)
        return (integers.view(-1, 16, 16) * scales.unsqueeze(-1)).view(-1, 256)


def by_block(importance: Tensor, size: int) -> Tensor:
    """The ``importance`` [in] of the weights in a matrix's blocks, until it repeats: float32 [blocks, size]."""
    return importance.float().repeat(size // gcd(len(importance), size)).view(-1, size)


def block_weight(x: Tensor, importance: Tensor | None) -> Tensor:
    """``own_weight`` of the groups ``x`` of blocks with an ``importance`` [blocks, size]."""
    return own_weight(x, None if importance is None else columns(importance, len(x)))


def within(weights: Tensor) -> Tensor:
    """``weights`` float32 [blocks, size], none larger than ``LARGEST``; a block with a NaN or infinity is all NaN."""
    if weights.abs().amax() <= LARGEST:
        return weights
    broken = weights.sum(-1, keepdim=True) * 0  # NaN where a weight is no number
    return weights.clamp(-LARGEST, LARGEST).add_(broken)


def columns(weights: Tensor, groups: int) -> Tensor:
    """``weights`` [blocks, size] with a column for each block, cut into groups: [groups, size / groups, blocks]."""
    return weights.t().contiguous().view(groups, -1, len(weights))


def shared(scales: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Scales [groups, 1, blocks] as integers of at most ``most`` in size, and the float16 [1, 1, blocks] they share.

    The largest scale takes ``-most``, which has one step more than ``most - 1``.
    """
    d = (farthest(scales, 0) / -most).half().float()
    divisor = torch.where(d == 0, torch.ones_like(d), d)
    return (scales / divisor).round_().clamp_(-most, most - 1), d


def signed_integers(x: Tensor, scale: Tensor, most: int) -> Tensor:
    """The integers ``-most`` … ``most - 1`` nearest to ``x / scale``, ``most`` added, as float32."""
    inverse = torch.where(scale == 0, torch.zeros_like(scale), scale.reciprocal())
    return (x * inverse).round_().clamp_(-most, most - 1).add_(most)


def stacked(parts: Tensor, factor: int) -> Tensor:
    """Whole numbers [..., parts, 32, blocks] below ``factor``, the parts put into one number each, the first lowest."""
    *others, last = parts.unbind(-3)
    for part in reversed(others):
        last = torch.add(part, last, alpha=factor)
    return last


def to_bytes(numbers: Tensor) -> Tensor:
    """Whole numbers below 256, float32 [bytes, blocks], in bytes: uint8 [blocks, bytes].

    Four bytes go through one 32-bit integer, since torch turns and converts single bytes slowly.
    """
    fours = numbers.view(-1, 4, numbers.shape[-1])
    halves = torch.add(fours[:, ::2], fours[:, 1::2], alpha=256).int()
    return torch.add(halves[:, 0], halves[:, 1], alpha=1 << 16).t().contiguous().view(torch.uint8)


def half(blocks: Tensor, start: int) -> Tensor:
    """The float16 that begins at a byte of every block, as float32 [blocks, 1]."""
    return blocks[:, start : start + 2].contiguous().view(torch.float16).float()


def as_bytes(numbers: Tensor) -> Tensor:
    """float16 [blocks, 1] as uint8 [blocks, 2]."""
    return numbers.reshape(-1, 1).contiguous().view(torch.uint8)
