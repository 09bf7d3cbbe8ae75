"""The order from which a stored weight is multiplied fastest on this machine."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .format import Rearranged, Tensors
from .formats import FORMATS
from .ggml_groups import group_order
from .ggml_order import GgmlBlocks, ggml_order
from .ggml_probe import verdict
from .kernel_pin import Way, pin
from .kernels import choices
from .types import QuantType

TOKENS = (1, 8)
"""What is measured: a step of one sequence, and of several."""
TRIES = 5
MEASURED_ROWS = 8192
WHOLE = 256  # columns of which every type's blocks are a part


def fastest_order(kind: QuantType, stored: Tensors, rows: int, columns: int, device: torch.device) -> Rearranged | None:
    """The order for weights like ``stored``, one matrix [rows, columns]; ``None`` where they stay as they are.

    ggml's kernels read them as they are stored, those of torch in an order of their own, and only one is in memory. So
    where both are there, it is measured once for each type and shape, over as many tokens in steps of one as in steps
    of several.
    """
    own = FORMATS[kind].fastest(rows, columns, device)
    if device.type != "cpu" or pin() in ("packed", "unpacked"):
        return own
    by_ggml = ggml_way(kind, own, rows, columns)
    if by_ggml is None or pin() == "ggml":
        return by_ggml or own
    tried, some = first_rows(stored, rows, columns)
    few = own if some == rows else FORMATS[kind].fastest(some, columns, device)
    ways: dict[Way, Callable[[], None]] = {
        "packed": steps(kind, few, tried, some, columns),
        "ggml": steps(kind, ggml_way(kind, few, some, columns), tried, some, columns),
    }
    by = f"by ggml {by_ggml.version} in {by_ggml.multiplier.kind.name}"
    key = f"{kind} {rows}x{columns} {torch.get_num_threads()} threads, {by}"
    return by_ggml if choices().fastest(key, ways, TRIES) == "ggml" else own


def ggml_way(kind: QuantType, own: Rearranged | None, rows: int, columns: int) -> GgmlBlocks | None:
    """How ggml multiplies a matrix fastest, for which torch's kernel is ``own``; ``None`` where it does not.

    Rows that begin within a block are multiplied in pieces: 4 bits are put into smaller blocks then.
    """
    by_ggml = ggml_order(kind, rows, columns)
    if by_ggml is None or by_ggml.multiplier.phases > 1:
        return group_order(kind, own, rows, columns) or by_ggml
    return by_ggml


def eight_bits(device: torch.device) -> QuantType:
    """The type of 8 bits that ``device`` multiplies fastest: ``Q8_0`` where ggml multiplies it, else ``INT8``.

    By torch's kernels the former takes one and a half to three times as long.
    """
    if device.type != "cpu" or pin() in ("packed", "unpacked"):
        return QuantType.INT8
    found = verdict()
    return QuantType.Q8_0 if found is not None and QuantType.Q8_0 in found.types else QuantType.INT8


def first_rows(stored: Tensors, rows: int, columns: int) -> tuple[Tensors, int]:
    """As much of a stored matrix as is worth measuring, and its rows; all of it where a row may begin within a block.

    An output head has a hundred times the rows, and another order of it takes as much memory again.
    """
    if rows <= MEASURED_ROWS or columns % WHOLE:
        return stored, rows
    return {part: tensor[: len(tensor) // rows * MEASURED_ROWS] for part, tensor in stored.items()}, MEASURED_ROWS


def steps(kind: QuantType, order: Rearranged | None, stored: Tensors, rows: int, columns: int) -> Callable[[], None]:
    """A function that multiplies a weight in an order as decoding does."""
    tensors: Tensors = {}
    inputs = [torch.ones(tokens, columns, dtype=torch.float32) for tokens in TOKENS]

    def run() -> None:
        nonlocal tensors
        if not tensors:  # made for the first measurement, which is not the fastest
            tensors = stored if order is None else order.rearrange(stored)
        for given in inputs:
            for _ in range(max(TOKENS) // len(given)):
                (order or FORMATS[kind]).linear(given, tensors, rows, columns)

    return run
