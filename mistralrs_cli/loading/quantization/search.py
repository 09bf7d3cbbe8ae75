"""The scales that lose least: weighted least-squares fits of a group's scale and offset to its integers.

Groups are ``float32 [..., groups, group size]``; what is returned has one value a group, ``[..., groups, 1]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-30
SPANS = (0.0, -0.6, 0.6)
WIDE_SPANS = (*SPANS, 1.2, 2.0)
"""By how many levels more or fewer than there are the first guess spreads a group; of these the best fit is taken.

With few levels it pays to cut a group's extremes off.
"""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of weights with what every fit needs of them.

    A weight counts by its own size and the root mean square of its group, as llama.cpp counts where it has no
    measured importance: inputs are not known here, and large weights move the output most.
    """

    x: Tensor
    weight: Tensor
    weighted: Tensor
    total: Tensor
    total_weighted: Tensor

    @staticmethod
    def of(x: Tensor) -> Groups:
        """The sums over ``x`` float32 [..., groups, group size]."""
        weight = x.abs().add_(x.square().mean(-1, keepdim=True).sqrt_())
        weighted = weight * x
        return Groups(x, weight, weighted, weight.sum(-1, keepdim=True), weighted.sum(-1, keepdim=True))

    def integers(self, scale: Tensor, offset: Tensor, levels: int) -> Tensor:
        """The integers 0 … ``levels`` nearest to ``(x - offset) / scale``."""
        return (self.x - offset).div_(scale.clamp_min(TINY)).round_().clamp_(0, levels)

    def error(self, scale: Tensor, offset: Tensor, levels: int) -> Tensor:
        """The weighted squared error of ``scale`` and ``offset`` with their best integers."""
        found = self.integers(scale, offset, levels).mul_(scale).add_(offset).sub_(self.x)
        return found.square_().mul_(self.weight).sum(-1, keepdim=True)

    def fit(self, integers: Tensor, scale: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and offset of least weighted error for these integers; the given ones where they are all alike."""
        counted = self.weight * integers
        first, second = counted.sum(-1, keepdim=True), (counted * integers).sum(-1, keepdim=True)
        mixed = (self.weighted * integers).sum(-1, keepdim=True)
        determinant = self.total * second - first * first
        fitted = (self.total * mixed - self.total_weighted * first) / determinant.clamp_min(TINY)
        usable = (determinant > 0) & (fitted > 0)
        moved = (self.total_weighted - fitted * first) / self.total.clamp_min(TINY)
        return torch.where(usable, fitted, scale), torch.where(usable, moved, offset)


def scale_and_offset(groups: Groups, levels: int, *, positive_offset: bool = True) -> tuple[Tensor, Tensor]:
    """Scale and offset by which integers 0 … ``levels`` come nearest: ``x ≈ integer · scale + offset``.

    Without ``positive_offset`` the offset is at most 0, as formats need that store its negative.
    """
    low, high = groups.x.amin(-1, keepdim=True), groups.x.amax(-1, keepdim=True)
    if not positive_offset:
        low = low.clamp_max_(0)
    span = (high - low).clamp_min_(TINY)
    best: tuple[Tensor, Tensor, Tensor] | None = None
    for more in WIDE_SPANS if levels < 8 else SPANS:
        first = span / (levels + more)
        scale, offset = first, low
        for _ in range(3 if levels < 8 else 1):
            scale, offset = groups.fit(groups.integers(scale, offset, levels), scale, offset)
            if not positive_offset:
                offset = offset.clamp_max_(0)
        error = groups.error(scale, offset, levels)
        if best is None:
            best = scale, offset, error
        else:
            better = error < best[2]
            best = (
                torch.where(better, scale, best[0]),
                torch.where(better, offset, best[1]),
                torch.where(better, error, best[2]),
            )
    assert best is not None
    return best[0], best[1]


def symmetric_scale(groups: Groups, levels: int, *, steps: int = 4) -> Tensor:
    """The scale, of either sign, by which integers ``-levels`` … ``levels - 1`` come nearest: ``x ≈ integer · scale``.

    The weight of largest size takes ``-levels`` or a little more or less, ``steps`` tenths of a level to either side.
    """
    x = groups.x
    largest = x.gather(-1, x.abs().argmax(-1, keepdim=True))
    largest = torch.where(largest.abs() < TINY, torch.full_like(largest, TINY), largest)
    best: tuple[Tensor, Tensor] | None = None
    for step in range(-steps, steps + 1):
        integers = (x * (-(levels + 0.1 * step) / largest)).round_().clamp_(-levels, levels - 1)
        counted = groups.weight * integers
        scale = (groups.weighted * integers).sum(-1, keepdim=True)
        scale = scale / (counted * integers).sum(-1, keepdim=True).clamp_min(TINY)
        error = (integers * scale).sub_(x).square_().mul_(groups.weight).sum(-1, keepdim=True)
        if best is None:
            best = scale, error
        else:
            better = error < best[1]
            best = torch.where(better, scale, best[0]), torch.where(better, error, best[1])
    assert best is not None
    return best[0]
