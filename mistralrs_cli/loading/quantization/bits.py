"""Small integers in whole bytes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

PLANES = {2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2)}
"""The widths into which an integer's bits are cut, lowest first, so that whole bytes can be filled."""


def padded(columns: int) -> int:
    """Columns with those added that fill up the last byte."""
    return -(-columns // 8) * 8


def pack_bits(integers: Tensor, bits: int) -> Tensor:
    """Integers uint8 [rows, columns] below 2^bits, in bytes: uint8 [rows, padded columns · bits / 8]."""
    integers = pad(integers, (0, padded(integers.shape[1]) - integers.shape[1]))
    planes, shift = [], 0
    for width in PLANES[bits]:
        plane = (integers >> shift) & ((1 << width) - 1)
        parts = plane.chunk(8 // width, 1)
        packed = parts[0].clone()
        for index, part in enumerate(parts[1:], 1):
            packed |= part << (index * width)
        planes.append(packed)
        shift += width
    return torch.cat(planes, 1)


def unpack_bits(packed: Tensor, bits: int, columns: int) -> Tensor:
    """The integers again: uint8 [rows, columns]; ``columns`` as they were padded."""
    integers: Tensor | None = None
    shift = start = 0
    for width in PLANES[bits]:
        count, size = 8 // width, columns * width // 8
        plane = packed[:, start : start + size]
        spread = torch.empty(len(packed), count, size, dtype=torch.uint8, device=packed.device)
        for index in range(count):
            torch.bitwise_and(plane >> (index * width), (1 << width) - 1, out=spread[:, index])
        spread = spread.view(len(packed), columns)
        integers = spread if integers is None else integers.bitwise_or_(spread.bitwise_left_shift_(shift))
        shift, start = shift + width, start + size
    assert integers is not None
    return integers
