"""The weights of a MatFormer slice, read from the whole model's files: only the rows and columns that stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .decoder_layers import layer_weight
from .headers import Stored
from .matformer import Slice
from .weights import weight_files

if TYPE_CHECKING:
    import torch

BLOCK = 1 << 14  # rows read at once where columns are cut


@dataclass(frozen=True, slots=True)
class Cut:
    """What stays of a weight: its new ``name``, and half-open ranges of ``rows`` and ``columns``; ``None`` is all."""

    name: str
    rows: tuple[range, ...] | None = None
    columns: tuple[range, ...] | None = None

    def shape(self, whole: Sequence[int]) -> tuple[int, ...]:
        """The shape of what stays."""
        axes = (self.rows, self.columns)
        return tuple(
            size if axis > 1 or (kept := axes[axis]) is None else sum(map(len, kept)) for axis, size in enumerate(whole)
        )


@dataclass(frozen=True, slots=True)
class LazyWeight:
    """A cut of a stored weight, read when it is indexed.

    Behaves like the slices of safetensors that transformers loads from: ``weight[...]`` is the tensor.
    """

    source: Any
    cut: Cut

    def __getitem__(self, index: Any) -> torch.Tensor:
        """The tensor. Only what stays is read: no more than one block of rows beside it is ever in memory."""
        import torch

        if self.cut.rows is None and self.cut.columns is None:
            whole: torch.Tensor = self.source[...]
            return whole
        height, width = self.source.get_shape()
        rows, columns = self.cut.rows or (range(height),), self.cut.columns or (range(width),)
        first: torch.Tensor = self.source[0:1, 0:1]
        found = torch.empty(self.cut.shape((height, width)), dtype=first.dtype)
        top = 0
        for start, stop in blocks(rows):
            left = 0
            for run in columns:
                part = self.source[start:stop, run.start : run.stop]
                found[top : top + stop - start, left : left + len(run)] = part
                left += len(run)
            top += stop - start
        return found


def blocks(rows: Sequence[range]) -> Iterator[tuple[int, int]]:
    """Runs of rows in pieces of ``BLOCK`` rows at most."""
    for run in rows:
        for start in range(run.start, run.stop, BLOCK):
            yield start, min(start + BLOCK, run.stop)


def sliced_weights(folder: Path, model_slice: Slice) -> dict[str, LazyWeight]:
    """Every weight of the slice by its new name. Nothing is read yet but the files' headers."""
    from safetensors import safe_open

    weights = {}
    for file in weight_files(folder):
        handle: Any = safe_open(file, "pt")
        for name in handle.keys():  # noqa: SIM118 - not a dictionary
            source = handle.get_slice(name)
            cut = cut_of(name, source.get_shape(), model_slice)
            if cut is not None:
                weights[cut.name] = LazyWeight(source, cut)
    return weights


def sliced_headers(stored: Mapping[str, Stored], model_slice: Slice) -> dict[str, Stored]:
    """The headers that a checkpoint of the slice would have."""
    found = {}
    for name, entry in stored.items():
        cut = cut_of(name, entry.shape, model_slice)
        if cut is not None:
            shape = cut.shape(entry.shape)
            found[cut.name] = Stored(entry.dtype, shape, entry.size * prod(shape) // max(entry.count, 1))
    return found


def cut_of(name: str, shape: Sequence[int], model_slice: Slice) -> Cut | None:
    """What stays of a weight; ``None`` for those of skipped layers.

    A feed-forward network keeps its first neurons: rows of what goes in, columns of what comes out. Weights that hold
    a part for every layer lose those of the skipped ones. All else stays whole.
    """
    weight = layer_weight(name)
    if weight is None:
        if name.endswith(".embed_tokens_per_layer.weight"):
            return Cut(name, columns=parts(model_slice, shape[1]))
        if name.endswith(".per_layer_model_projection.weight"):
            return Cut(name, rows=parts(model_slice, shape[0]))
        return Cut(name)
    if weight.number not in model_slice.kept:
        return None
    layer = model_slice.kept.index(weight.number)
    kept = (range(model_slice.widths[layer]),)
    renamed = f"{weight.layers}.{layer}.{weight.inner}"
    match weight.inner:
        case "mlp.gate_proj.weight" | "mlp.up_proj.weight":
            return Cut(renamed, rows=kept)
        case "mlp.down_proj.weight":
            return Cut(renamed, columns=kept)
        case _:
            return Cut(renamed)


def parts(model_slice: Slice, size: int) -> tuple[range, ...] | None:
    """The ranges of ``size`` numbers, one part per layer, that belong to the kept layers; neighbours joined."""
    if not model_slice.skipped:
        return None
    part = size // model_slice.layers
    return tuple(range(start * part, stop * part) for start, stop in runs(model_slice.kept))


def runs(layers: Sequence[int]) -> list[tuple[int, int]]:
    """Rising numbers as half-open runs: ``0 1 2 5 6`` is ``(0, 3), (5, 7)``."""
    breaks = [index + 1 for index, (one, next) in enumerate(pairwise(layers)) if next > one + 1]
    return [(layers[start], layers[stop - 1] + 1) for start, stop in pairwise([0, *breaks, len(layers)])]
