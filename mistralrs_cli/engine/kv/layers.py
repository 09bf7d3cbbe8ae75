"""How the layers of several KV caches become one, by kind of layer.

Joined rows share the right edge, as in a left-padded batch: row *i* of a joined layer holds that row's keys and values
at its right end and padding before them, hidden by the attention mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from transformers.cache_utils import (
    Cache,
    DummyLayer,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
)

from ..failures import exhausted
from .preallocated import PreallocatedLayer
from .quantized import QuantizedLayer

STATES = ("conv_states", "recurrent_states")


class CopyOnWriteLinearLayer(LinearAttentionLayer):
    """A linear attention layer that replaces its recurrent states and does not write into them: the old ones stay whole
    for those that have kept them."""

    def update_recurrent_state(self, recurrent_states: torch.Tensor, state_idx: int = 0, **kwargs: Any) -> torch.Tensor:
        """The states after the next token, [rows, …]."""
        if not self.is_recurrent_states_initialized[state_idx]:
            self.lazy_initialization(recurrent_states=recurrent_states, state_idx=state_idx)
        self.recurrent_states[state_idx] = recurrent_states
        return recurrent_states


class CrossAttentionLayer(DynamicLayer):
    """What a text attends across to, an image's keys and values: they do not grow with it and need no padding."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values


ATTENDING: frozenset[type] = frozenset(
    {DynamicLayer, PreallocatedLayer, QuantizedLayer, CrossAttentionLayer, DynamicSlidingWindowLayer, DummyLayer}
)
JOINABLE: frozenset[type] = ATTENDING | {LinearAttentionLayer, CopyOnWriteLinearLayer}


def joinable(cache: Cache) -> bool:
    """Whether every layer is of a kind that can be joined exactly, and nothing is kept beside the layers."""
    return type(cache) is DynamicCache and all(type(layer) in JOINABLE for layer in cache.layers)


def attends(cache: Cache) -> bool:
    """Whether all layers keep keys and values, and nothing that sums up what was before."""
    return type(cache) is DynamicCache and all(type(layer) in ATTENDING for layer in cache.layers)


def set_cross_attention(cache: Cache, indices: Iterable[int]) -> None:
    """Tell the layers with these indices from those that run along the text; empty ones see nothing and stay."""
    for index in indices:
        layer: Any = cache.layers[index]
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[index] = CrossAttentionLayer(*contents(layer))


def cross_attention_lengths(cache: Cache) -> tuple[int, ...]:
    """How much each layer attends across to; only rows that see equally much can be joined."""
    layers: list[Any] = list(cache.layers)
    return tuple(layer.keys.shape[-2] for layer in layers if isinstance(layer, CrossAttentionLayer))


def grow(cache: Cache) -> None:
    """Give the full-attention layers room to grow in place, and the linear ones states that can be gone back to."""
    for index, layer in enumerate(list[Any](cache.layers)):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[index] = PreallocatedLayer(*contents(layer))
        elif type(layer) is LinearAttentionLayer:
            cache.layers[index] = CopyOnWriteLinearLayer(layer.number_of_states)
            vars(cache.layers[index]).update(vars(layer))


def mark(layer: Any) -> Callable[[], None]:
    """The way back to what a layer holds now, should the next token fail halfway.

    It costs next to nothing: what a token replaces is kept until the next one, and only convolution states, a few
    numbers a channel, are written into and have to be copied.
    """
    before = dict(vars(layer))
    match layer:
        case LinearAttentionLayer():
            before["conv_states"] = {
                index: None if state is None else state.clone() for index, state in layer.conv_states.items()
            }
            before["recurrent_states"] = dict(layer.recurrent_states)
        case PreallocatedLayer():
            rows, used = layer.keys.shape[0], layer.keys.shape[-2]
            return lambda: layer.cut(rows, 0, used)

    def go_back() -> None:
        vars(layer).clear()
        vars(layer).update(before)

    return go_back


def first_rows(layer: Any, rows: int, width: int) -> None:
    """Take back a join: the first rows again, ``width`` tokens wide. Copies nothing, as there may be no memory."""
    match layer:
        case DummyLayer():
            return
        case LinearAttentionLayer():
            for states in (layer.conv_states, layer.recurrent_states):
                for index, state in states.items():
                    states[index] = None if state is None else state[:rows]
        case CrossAttentionLayer():
            layer.keys, layer.values = (states[:rows] for states in contents(layer))
        case PreallocatedLayer():
            used = layer.keys.shape[-2]
            layer.cut(rows, used - width, used)
        case DynamicLayer() if layer.is_initialized:
            kept = width
            if isinstance(layer, DynamicSlidingWindowLayer):
                kept = min(width, layer.sliding_window - 1)
                layer.cumulative_length = width
            layer.keys, layer.values = (states[:rows, :, -kept:] for states in contents(layer))


def keep_rows(layer: Any, index: torch.Tensor) -> None:
    """Keep the rows of ``index`` int64 [rows], which ascend.

    Where there is no memory for a copy of them they are moved up where they lie, so that leaving never fails for want
    of it; the room of those that left is then given back later.
    """
    try:
        layer.reorder_cache(index)
    except Exception as error:
        if not exhausted(error):
            raise
        move_up(layer, index.tolist())


def move_up(layer: Any, kept: Sequence[int]) -> None:
    """Keep these rows, ascending, in the memory that the layer has; a tensor that holds only these already stays."""

    def moved(states: torch.Tensor) -> torch.Tensor:
        if len(states) == len(kept):
            return states
        for place, row in enumerate(kept):
            if place != row:
                states[place].copy_(states[row])
        return states[: len(kept)]

    match layer:
        case LinearAttentionLayer():
            for states in (layer.conv_states, layer.recurrent_states):
                for index, state in states.items():
                    states[index] = None if state is None else moved(state)
        case PreallocatedLayer():
            for state in contents(layer):
                moved(state)
            layer.cut(len(kept), 0, layer.keys.shape[-2])
        case DynamicLayer() if layer.is_initialized:
            layer.keys, layer.values = (moved(states) for states in contents(layer))


def join(layer: Any, other: Any, width: int) -> None:
    """Append the rows of ``other`` to ``layer``; both become ``width`` tokens wide, aligned at the right edge."""
    match layer:
        case DummyLayer():
            return
        case LinearAttentionLayer():
            join_states(layer, other)
        case CrossAttentionLayer():
            pairs = zip(contents(layer), contents(other), strict=True)
            replace(layer, *[torch.cat(pair) for pair in pairs])
        case DynamicLayer():
            if not layer.is_initialized:
                return
            wide = width
            if isinstance(layer, DynamicSlidingWindowLayer):
                wide = min(width, layer.sliding_window - 1)
                layer.cumulative_length = width
            pairs = zip(contents(layer), contents(other), strict=True)
            replace(layer, *[torch.cat([widen(mine, wide), widen(theirs, wide)]) for mine, theirs in pairs])
        case _:
            raise TypeError(f"{type(layer).__name__} cannot be joined")


def join_states(layer: Any, other: Any) -> None:
    """Linear attention has no token axis: its convolution and recurrent states only gain rows."""
    for mine, theirs in ((layer.conv_states, other.conv_states), (layer.recurrent_states, other.recurrent_states)):
        for index, state in mine.items():
            if state is not None:
                mine[index] = torch.cat([state, theirs[index]])


def widen(states: torch.Tensor, width: int) -> torch.Tensor:
    """Pad ``[rows, heads, tokens, head size]`` with zeros on the left, up to ``width`` tokens."""
    missing = width - states.shape[-2]
    return functional.pad(states, (0, 0, missing, 0)) if missing > 0 else states


def narrow(layer: Any, width: int) -> None:
    """Drop padding on the left that no row needs any more, down to ``width`` tokens. Needs no memory."""
    match layer:
        case CrossAttentionLayer():
            return
        case PreallocatedLayer():
            used = layer.keys.shape[-2]
            try:
                layer.adopt(*(part[..., -width:, :] for part in layer.contents))
            except Exception as error:
                if not exhausted(error):
                    raise
                layer.cut(layer.keys.shape[0], used - width, used)
        case DynamicSlidingWindowLayer() if layer.is_initialized:
            kept = min(width, layer.sliding_window - 1)
            replace(layer, *(states[..., -kept:, :] for states in contents(layer)))
            layer.cumulative_length = width
        case DynamicLayer() if layer.is_initialized:
            replace(layer, *(states[..., -width:, :] for states in contents(layer)))


def tensors(layer: Any) -> list[torch.Tensor]:
    """What a layer holds."""
    match layer:
        case DummyLayer():
            return []
        case LinearAttentionLayer():
            return [state for name in STATES for state in getattr(layer, name).values() if state is not None]
        case _:
            return list(contents(layer)) if layer.is_initialized else []


def bytes_of(cache: Cache) -> int:
    """The memory of a cache's tensors."""
    return sum(tensor.numel() * tensor.element_size() for layer in cache.layers for tensor in tensors(layer))


def contents(layer: Any) -> tuple[torch.Tensor, ...]:
    """What an attention layer holds, keys and values as a rule, each [rows, heads, tokens, width]."""
    return layer.contents if isinstance(layer, PreallocatedLayer) else (layer.keys, layer.values)


def replace(layer: Any, *parts: torch.Tensor) -> None:
    """Give an attention layer other contents."""
    if isinstance(layer, PreallocatedLayer):
        layer.adopt(*parts)
    else:
        layer.keys, layer.values = parts
