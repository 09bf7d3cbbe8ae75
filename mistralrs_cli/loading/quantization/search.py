"""The scales that lose least: weighted least-squares fits of a group's scale and offset to its integers.

Groups are columns, ``float32 [..., group size, n]``: with the members of a group a row apart, torch sums and scales
whole rows of groups at once. What is returned has one value a group, ``[..., 1, n]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-30
SPANS = (0.0, -1.0, 0.6)
WIDE_SPANS = (0.0, -0.6, 0.6, 1.2, 2.0)
"""By how many levels more or fewer than there are the first guess spreads a group; of these the best fit is taken.

With few levels it pays to cut a group's extremes off.
"""


def own_weight(x: Tensor, importance: Tensor | None = None) -> Tensor:
    """How much every weight of groups counts: its own size and about the root mean square of its group.

    So llama.cpp counts: large weights move the output most, which is all there is to go by where inputs are not known.
    ``importance``, of the shape of ``x``, is the mean square of each weight's input. Of normal numbers the root mean
    square is 1.25 times the mean size.
    """
    size = x.abs()
    weight = size.add_(size.sum(-2, keepdim=True), alpha=1.25 / x.shape[-2])
    return weight if importance is None else weight.mul_(importance)


class Groups:
    """Groups of numbers ``x``, and how much each of them counts.

    Where offsets are fitted the least number of every group must be 0, or none less: errors are differences of sums of
    squares.
    """

    def __init__(self, x: Tensor, weight: Tensor) -> None:
        self.x, self.weight = x, weight
        self.weighted = weight * x
        self.total = weight.sum(-2, keepdim=True).clamp_min_(TINY)
        self.mean = self.weighted.sum(-2, keepdim=True).div_(self.total)

    def integers(self, scale: Tensor, offset: Tensor, levels: int) -> Tensor:
        """The integers 0 … ``levels`` nearest to ``(x - offset) / scale``."""
        inverse = scale.clamp_min(TINY).reciprocal_()
        return torch.addcmul(offset * -inverse, self.x, inverse).round_().clamp_(0, levels)

    def fit(self, integers: Tensor) -> Fit:
        """What follows from integers that stand for the numbers."""
        counted = self.weight * integers
        first = counted.sum(-2, keepdim=True)
        second = counted.mul_(integers).sum(-2, keepdim=True)
        mixed = torch.mul(self.weighted, integers, out=counted).sum(-2, keepdim=True)
        return Fit(self, first, second, mixed)


@dataclass(frozen=True, slots=True)
class Fit:
    """The weighted sums of the integers of groups: of themselves, their squares, and their products with the numbers.

    Every fit and every error follows from these without another look at the numbers.
    """

    groups: Groups
    first: Tensor
    second: Tensor
    mixed: Tensor

    @staticmethod
    def stack(fits: Iterable[Fit]) -> Fit:
        """Several fits in one, separated by a dimension before all others."""
        each = list(fits)
        parts = ([one.first for one in each], [one.second for one in each], [one.mixed for one in each])
        return Fit(each[0].groups, *map(torch.stack, parts))

    def both(self, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scale and offset of least error, and how much they err less than the mean alone.

        Where all integers are alike the scale is the given one.
        """
        groups = self.groups
        middle = self.first / groups.total
        own = torch.addcmul(self.second, self.first, middle, value=-1)
        common = torch.addcmul(self.mixed, self.first, groups.mean, value=-1)
        scale = torch.where(own > 1e-6 * self.second, common / own, scale)
        return scale, torch.addcmul(groups.mean, scale, middle, value=-1), common.mul_(scale)

    def scale(self, offset: Tensor) -> Tensor:
        """The scale of least error beside an offset."""
        return torch.addcmul(self.mixed, offset, self.first, value=-1).div_(self.second.clamp_min(TINY))

    def offset(self, scale: Tensor) -> Tensor:
        """The offset of least error beside a scale."""
        return self.groups.mean - scale * self.first / self.groups.total

    def error(self, scale: Tensor, offset: Tensor) -> Tensor:
        """The weighted squared error of ``integer · scale + offset``, less that of zeros."""
        alone = offset.sub(self.groups.mean, alpha=2).mul_(self.groups.total).mul_(offset)
        crossed = (offset * self.first).sub_(self.mixed)
        return (scale * self.second).add_(crossed, alpha=2).mul_(scale).add_(alone)


def scale_and_offset(groups: Groups, levels: int) -> tuple[Tensor, Tensor]:
    """Scale and offset by which integers 0 … ``levels`` come nearest: ``x ≈ integer · scale + offset``."""
    span = groups.x.amax(-2, keepdim=True).clamp_min_(TINY)
    spans = [levels + more for more in (WIDE_SPANS if levels < 8 else SPANS)]

    def spread(steps: float) -> Tensor:
        integers = (groups.x * (steps / span)).round_()
        return integers.clamp_(max=levels) if steps > levels else integers

    scale = torch.stack([span / steps for steps in spans])
    scale, offset, gain = Fit.stack(groups.fit(spread(steps)) for steps in spans).both(scale)
    for _ in range(2 if levels < 8 else 0):
        tried = zip(scale, offset, strict=True)
        scale, offset, gain = Fit.stack(groups.fit(groups.integers(*one, levels)) for one in tried).both(scale)
    scale, offset = most(gain, scale, offset)
    return scale, offset


def symmetric_scale(groups: Groups, levels: int, *, steps: int = 4) -> Tensor:
    """The scale, of either sign, by which integers ``-levels`` … ``levels - 1`` come nearest: ``x ≈ integer · scale``.

    The number of largest size takes ``-levels`` or a little more or less, ``steps`` tenths of a level to either side.
    """
    largest = farthest(groups.x, -2)
    inverse = -torch.where(largest.abs() < TINY, torch.full_like(largest, TINY), largest).reciprocal_()
    mixed, second = [], []
    for step in range(-steps, steps + 1):
        integers = (groups.x * (inverse * (levels + 0.1 * step))).round_().clamp_(-levels, levels - 1)
        mixed.append((groups.weighted * integers).sum(-2, keepdim=True))
        second.append(integers.square_().mul_(groups.weight).sum(-2, keepdim=True))
    common = torch.stack(mixed)
    scale = common / torch.stack(second).clamp_min_(TINY)
    (best,) = most(common * scale, scale)
    return best


def most(gains: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """For every group the values of the try with the largest gain, from ``[tries, ..., 1, n]``."""
    gain, best = gains[0], tuple(each[0] for each in values)
    for index in range(1, len(gains)):  # argmax is many times slower
        better = gains[index] > gain
        gain = torch.where(better, gains[index], gain)
        best = tuple(torch.where(better, each[index], one) for each, one in zip(values, best, strict=True))
    return best


def farthest(x: Tensor, dimension: int) -> Tensor:
    """The number of largest size along a dimension, which stays."""
    low, high = x.amin(dimension, keepdim=True), x.amax(dimension, keepdim=True)  # aminmax is many times slower
    return torch.where(high > -low, high, low)
