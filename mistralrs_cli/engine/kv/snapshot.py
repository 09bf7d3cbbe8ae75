"""The KV cache of one sequence outside a batch: prefilled, or kept for later and used again, cut back if possible."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import (
    Cache,
    DummyLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
)

from .layers import STATES, bytes_of, cross_attention_lengths, joinable
from .quantized import QuantizedLayer

FLAGS = ("is_conv_states_initialized", "is_recurrent_states_initialized", "has_previous_state", "conv_kernel_size")


@dataclass(slots=True, eq=False)
class SequenceCache:
    """The cache of one sequence of ``tokens`` tokens, on its way into a batch."""

    cache: Any  # a transformers Cache of one row
    tokens: int

    @property
    def batchable(self) -> bool:
        """Whether it can be added to others exactly."""
        return joinable(self.cache)

    @property
    def batch_key(self) -> Hashable:
        """What another sequence's cache must have in common with this one to be batched with it."""
        return cross_attention_lengths(self.cache) if self.batchable else object()

    @property
    def croppable(self) -> bool:
        """Whether a snapshot of it can be cut back to fewer tokens."""
        return croppable(self.cache)

    @property
    def bytes_per_token(self) -> float:
        """Bytes of keys and values of one token."""
        return bytes_of(self.cache) / self.tokens

    def snapshot(self) -> Snapshot:
        """A copy."""
        return extract(self.cache, 0, self.tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The cache of one sequence of ``tokens`` tokens. Its tensors are never changed."""

    cache: Any  # a transformers DynamicCache of one row
    tokens: int

    @property
    def croppable(self) -> bool:
        """Whether it can be cut back to fewer tokens: a full sliding window and a linear state forget what was."""
        return croppable(self.cache)

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return bytes_of(self.cache)

    def restored(self, tokens: int | None = None) -> SequenceCache:
        """A cache of its first ``tokens`` tokens, free to grow. Fewer than all want ``croppable``."""
        tokens = self.tokens if tokens is None else tokens
        cache = copy.copy(self.cache)
        cache.layers = [first(layer, tokens) for layer in self.cache.layers]
        return SequenceCache(cache, tokens)


def extract(cache: Cache, row: int, tokens: int) -> Snapshot:
    """Copy one row's last ``tokens`` tokens out of a joined cache."""
    kept = copy.copy(cache)
    kept.layers = [taken(layer, row, tokens) for layer in cache.layers]
    return Snapshot(kept, tokens)


def croppable(cache: Cache) -> bool:
    """Whether a cache can be cut back to fewer tokens."""
    return all(remembers_all(layer) for layer in cache.layers)


def remembers_all(layer: Any) -> bool:
    """Whether every token the layer has seen is still in it."""
    match layer:
        case DummyLayer():
            return True
        case LinearAttentionLayer():
            return False
        case DynamicSlidingWindowLayer():
            return bool(layer.cumulative_length < layer.sliding_window)
        case _:
            return True


def taken(layer: Any, row: int, tokens: int) -> Any:
    """A copy of one row of a layer, without the padding before it."""
    alone: Any
    match layer:
        case DummyLayer():
            return copy.copy(layer)
        case LinearAttentionLayer():
            return with_states(layer, slice(row, row + 1))
        case DynamicLayer() if not layer.is_initialized:
            return copy.copy(layer)
        case DynamicSlidingWindowLayer():
            alone = copy.copy(layer)
            kept = min(tokens, layer.sliding_window - 1)
            alone.cumulative_length = tokens
        case QuantizedLayer():
            return layer.holding(
                *[part[row : row + 1, :, part.shape[-2] - tokens :].clone() for part in layer.contents]
            )
        case _:
            alone = DynamicLayer()
            alone.lazy_initialization(layer.keys, layer.values)
            kept = tokens
    start = layer.keys.shape[-2] - kept
    alone.keys, alone.values = (states[row : row + 1, :, start:].clone() for states in (layer.keys, layer.values))
    return alone


def first(layer: Any, tokens: int) -> Any:
    """A layer object of its own over the first ``tokens`` tokens; keys and values are replaced, never written to."""
    match layer:
        case LinearAttentionLayer():
            return with_states(layer, slice(None))  # these are written to in place
        case QuantizedLayer() if layer.is_initialized:
            return layer.holding(*[part[..., :tokens, :] for part in layer.contents])
        case DynamicLayer() if layer.is_initialized:
            own: Any = copy.copy(layer)
            if remembers_all(layer):
                own.keys, own.values = own.keys[..., :tokens, :], own.values[..., :tokens, :]
            if isinstance(own, DynamicSlidingWindowLayer):
                own.cumulative_length = tokens
            return own
        case _:
            return copy.copy(layer)


def with_states(layer: LinearAttentionLayer, rows: slice) -> LinearAttentionLayer:
    """A copy of a linear attention layer with the states of some rows."""
    own = copy.copy(layer)
    for name in FLAGS:
        setattr(own, name, dict(getattr(layer, name)))
    for name in STATES:
        states: dict[int, torch.Tensor | None] = getattr(layer, name)
        setattr(own, name, {index: None if state is None else rows_of(state, rows) for index, state in states.items()})
    return own


def rows_of(state: torch.Tensor, rows: slice) -> torch.Tensor:
    """A copy of some rows of a state [rows, …]."""
    return state[rows].clone()
