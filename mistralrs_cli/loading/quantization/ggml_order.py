"""Blocks as they are stored, multiplied by ggml."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import linear

from ...errors import OptionError
from ..ggml.block_types import BLOCK_TYPES, BlockType
from ..ggml.library import Library
from ..ggml.product import Multiplier
from .format import Rearranged, Tensors
from .formats import FORMATS
from .ggml_probe import verdict
from .kernel_pin import PIN, Way, pin
from .kernels import BUCKETS, choices
from .types import QuantType


class GgmlBlocks(Rearranged):
    """The stored ``blocks`` where they lie, in a mapped file for example; nothing is moved."""

    def __init__(self, kind: QuantType, multiplier: Multiplier) -> None:
        self.kind, self.multiplier = kind, multiplier
        self.version = multiplier.library.named_version

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        return dict(stored)

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        flat, blocks = inputs.reshape(-1, columns), stored["blocks"]
        if len(flat) < BUCKETS[0]:
            product = self.by_ggml(flat, blocks)
        else:
            ways: dict[Way, Callable[[], Tensor]] = {
                "ggml": lambda: self.by_ggml(flat, blocks),
                "unpacked": lambda: self.unpacked(flat, blocks),
            }
            product = choices().multiply(f"ggml {self.multiplier.kind.name}", flat, rows, ways)
        return product.view(*inputs.shape[:-1], rows)

    def looks_up(self, rows: int) -> bool:
        return True

    def lookup(self, indices: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        return FORMATS[self.kind].lookup(indices, stored, rows, columns)

    def direct(self, stored: Tensors, rows: int, columns: int) -> Callable[[Tensor], Tensor]:
        blocks, multiply = stored["blocks"], self.multiplier.multiply

        def product(inputs: Tensor) -> Tensor:
            if inputs.dtype is torch.float32 and len(inputs) < BUCKETS[0]:
                return multiply(blocks, inputs, torch.get_num_threads())
            return self.linear(inputs, stored, rows, columns)

        return product

    def by_ggml(self, flat: Tensor, blocks: Tensor) -> Tensor:
        """The product of ``flat`` [tokens, columns], rounded to 8 bits: [tokens, rows]."""
        return self.multiplier.multiply(blocks, flat.float(), torch.get_num_threads()).to(flat.dtype)

    def unpacked(self, flat: Tensor, blocks: Tensor) -> Tensor:
        """The same product in full."""
        return linear(flat, self.multiplier.unpack(blocks, torch.get_num_threads()).to(flat.dtype))


def ggml_order(kind: QuantType, rows: int, columns: int) -> GgmlBlocks | None:
    """How ggml multiplies a matrix of a type on this CPU, if it does.

    Raises ``OptionError`` where the environment pins ggml and its library does not work.
    """
    block = BLOCK_TYPES.get(kind)
    shared = None if block is None else multiplier(kind, block, rows, columns)
    return None if shared is None else GgmlBlocks(kind, shared)


def multiplier(name: str, block: BlockType, rows: int, columns: int) -> Multiplier | None:
    """What multiplies a matrix in blocks that are ``name`` in a verdict, if ggml does. Raises as ``ggml_order``."""
    if not block.cuts(rows, columns):
        return None
    found = verdict()
    if found is not None and found.failure and pin() == "ggml":
        raise OptionError(f"{PIN} says ggml, which does not work here: {found.failure}.", f"Unset {PIN}.")
    if found is None or name not in found.types:
        return None
    return shared_multiplier(block, rows, columns, found.file, name not in found.together)


@cache
def shared_multiplier(block: BlockType, rows: int, columns: int, file: str, alone: bool) -> Multiplier:
    """What all weights of a type and shape share."""
    return Multiplier(opened(file), block, rows, columns, alone)


@cache
def opened(file: str) -> Library:
    """A library that was tried, opened once."""
    return Library(Path(file))
