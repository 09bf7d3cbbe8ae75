"""A row's KV cache kept for later: taken out of a batch, cut back where that is possible, and used again."""

from __future__ import annotations

import copy
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

STATES = ("conv_states", "recurrent_states")
FLAGS = ("is_conv_states_initialized", "is_recurrent_states_initialized", "has_previous_state", "conv_kernel_size")


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
        return sum(tensor.numel() * tensor.element_size() for layer in self.cache.layers for tensor in tensors(layer))

    def revived(self, tokens: int) -> Any:
        """A cache of its first ``tokens`` tokens, free to grow. Fewer than all want ``croppable``."""
        cache = copy.copy(self.cache)
        cache.layers = [first(layer, tokens) for layer in self.cache.layers]
        return cache


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


def tensors(layer: Any) -> list[torch.Tensor]:
    """What a layer holds."""
    match layer:
        case DummyLayer():
            return []
        case LinearAttentionLayer():
            return [state for name in STATES for state in getattr(layer, name).values() if state is not None]
        case _:
            return [layer.keys, layer.values] if layer.is_initialized else []


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
