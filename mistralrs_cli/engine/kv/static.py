"""A KV cache in fixed buffers, so that a decode step has the same shapes and addresses from token to token.

Such a step can be captured as a CUDA graph (``engine/runner/cuda_graph.py``). Row *i* of a batch is row *i* of the
buffers; a token is written at its row's own length, and the attention mask hides what lies behind it. A layer with a
sliding window is a ring of as many tokens: attention does not ask in which order keys lie.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DummyLayer, DynamicCache, DynamicLayer
from transformers.cache_utils import DynamicSlidingWindowLayer as SlidingLayer

from ..failures import exhausted
from .preallocated import PreallocatedLayer
from .snapshot import SequenceCache, Snapshot

FIRST_CAPACITY = 256  # tokens; buffers of more double
KEPT = 2  # sets of unused buffers
FULL = 0  # in place of a window


def bucket(rows: int, tokens: int) -> tuple[int, int]:
    """The rows and the capacity of the smallest buffers for so many rows of up to so many tokens.

    >>> bucket(1, 10), bucket(5, 257), bucket(7, 5000)
    ((1, 256), (6, 512), (8, 8192))
    """
    power = 1 << (rows - 1).bit_length()
    between = power * 3 // 4
    least = between if power >= 4 and between >= rows else power  # 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, …
    return least, max(FIRST_CAPACITY, 1 << (tokens - 1).bit_length())


def supports(cache: Cache) -> bool:
    """Whether the layers of a prefilled cache can be in fixed buffers.

    Not so are linear attention and convolutions, whose states a failed step could not take back; what is attended
    across to, which differs in length from row to row; keys in fewer bits; windows of several sizes.
    """
    if type(cache) is not DynamicCache:
        return False
    layers: list[Any] = [layer for layer in cache.layers if type(layer) is not DummyLayer]
    if not all(type(layer) in (DynamicLayer, PreallocatedLayer, SlidingLayer) for layer in layers):
        return False
    windows = {window_of(layer) for layer in layers} - {FULL}
    return len(windows) <= 1 and bool(layers) and all(layer.is_initialized for layer in layers)


class FixedLayer(CacheLayerMixin):
    """Keys and values [rows, heads, capacity, head size]; ``slots`` int64 [rows, 1, 1, 1] is where the next go."""

    is_compileable = True
    is_sliding = False
    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, like: Any, rows: int, capacity: int, slots: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots
        self.keys, self.values = (  # zeros: what is hidden is multiplied with nothing, and must be a number
            states.new_zeros(rows, states.shape[1], capacity, states.shape[3]) for states in (like.keys, like.values)
        )
        self.dtype, self.device, self.is_initialized = self.keys.dtype, self.keys.device, True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing is left to do."""

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Write ``[rows, heads, 1, head size]`` at the rows' slots; the whole buffers."""
        for buffer, states in ((self.keys, key_states), (self.values, value_states)):
            buffer.scatter_(2, self.slots.expand_as(states), states)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of the keys."""
        return self.keys.shape[2], 0

    def get_seq_length(self) -> int:
        """Some number: every row has its own, which the position ids say."""
        return 1

    def get_max_length(self) -> int:
        """The capacity."""
        return int(self.keys.shape[2])


class Buffers:
    """The layers of a bucket with the masks and slots of a step; ``captured`` are the graphs of it, by adapter.

    ``kinds`` are the words of a model's configuration for what its layers attend to.
    """

    def __init__(self, like: Cache, rows: int, capacity: int, device: torch.device, kinds: Sequence[str]) -> None:
        self.rows, self.capacity = rows, capacity
        self.captured: dict[Any, Any] = {}
        windows = {window_of(layer) for layer in like.layers if not isinstance(layer, DummyLayer)}
        self._lengths = torch.zeros(rows, 1, 1, 1, dtype=torch.long, device=device)
        self._slots = {window: torch.zeros_like(self._lengths) for window in windows}
        self._places = {window: torch.arange(self.size(window), device=device) for window in windows}
        self._masks = {
            window: torch.ones(rows, 1, 1, self.size(window), dtype=torch.bool, device=device) for window in windows
        }
        self.cache = DynamicCache()
        self.layers: list[Any] = self.cache.layers  # ``FixedLayer``, and ``DummyLayer`` for those that share another's
        self.layers += [
            copy.copy(layer)
            if isinstance(layer, DummyLayer)
            else FixedLayer(layer, rows, self.size(window_of(layer)), self._slots[window_of(layer)])
            for layer in like.layers
        ]
        sliding = max(windows)
        self.mask: Any = self._masks[sliding]  # of all layers, or one for each kind
        if len(windows) > 1:
            self.mask = {kind: self._masks[FULL if kind == "full_attention" else sliding] for kind in kinds}

    def size(self, window: int) -> int:
        """Tokens of a layer with this window."""
        return min(window or self.capacity, self.capacity)

    def place(self, lengths: Sequence[int]) -> None:
        """Set masks and slots for the token after ``lengths`` tokens of each row; unused rows see one."""
        padded = [*lengths, *[0] * (self.rows - len(lengths))]
        self._lengths.copy_(torch.tensor(padded).view(-1, 1, 1, 1))
        for window, slots in self._slots.items():
            torch.remainder(self._lengths, self.size(window), out=slots)
            torch.le(self._places[window], self._lengths, out=self._masks[window])

    def write(self, row: int, layers: Sequence[Any], tokens: int) -> None:
        """Fill a row with the layers of a sequence's cache, and what it has not reached with zeros.

        What an earlier row left there may be no number, which a mask does not hide: 0 · NaN is NaN.
        """
        for mine, theirs in zip(self.layers, layers, strict=True):
            if isinstance(mine, FixedLayer):
                kept = theirs.keys.shape[2]
                size = mine.get_max_length()
                slots = torch.arange(tokens - kept, tokens, device=mine.keys.device) % size
                mine.keys[row].zero_().index_copy_(1, slots, theirs.keys[0])
                mine.values[row].zero_().index_copy_(1, slots, theirs.values[0])

    def copy_row(self, target: int, source: int, origin: Buffers) -> None:
        """Copy a row of buffers with the same windows as it lies; room that it has there and not here it does not need.

        A ring that is shorter for want of capacity has not come round yet, so its tokens lie where they belong.
        """
        for mine, theirs in zip(self.layers, origin.layers, strict=True):
            if isinstance(mine, FixedLayer):
                size = min(mine.keys.shape[2], theirs.keys.shape[2])
                for states, given in ((mine.keys, theirs.keys), (mine.values, theirs.values)):
                    states[target, :, :size].copy_(given[source, :, :size])
                    states[target, :, size:].zero_()


def window_of(layer: Any) -> int:
    """The tokens that a layer's window holds; ``FULL`` where it has none."""
    return int(layer.sliding_window) if isinstance(layer, SlidingLayer) else FULL


class BufferPool:
    """Makes buffers, and keeps those that were used last with their graphs for the next batch of the same bucket."""

    def __init__(self, device: torch.device, kinds: Sequence[str]) -> None:
        self._device = device
        self._kinds = kinds
        self._free: list[Buffers] = []

    def take(self, like: Cache, rows: int, capacity: int) -> Buffers:
        """Buffers of a bucket; their contents mean nothing."""
        for buffers in self._free:
            if (buffers.rows, buffers.capacity) == (rows, capacity):
                self._free.remove(buffers)
                return buffers
        try:
            return Buffers(like, rows, capacity, self._device, self._kinds)
        except Exception as error:
            if not exhausted(error) or not self._free:
                raise
        self.clear()
        return Buffers(like, rows, capacity, self._device, self._kinds)

    def give_back(self, buffers: Buffers) -> None:
        """Keep buffers for another batch."""
        self._free = [*self._free, buffers][-KEPT:]

    def clear(self) -> None:
        """Drop the unused ones."""
        self._free = []


class StaticCache:
    """A ``KVCache`` in fixed buffers. A failed step has written nothing that the next one does not replace."""

    batchable = True

    def __init__(self, pool: BufferPool) -> None:
        self.lengths: list[int] = []
        self._pool = pool
        self._like: Cache | None = None  # a cache of the layers' kinds
        self.buffers: Buffers | None = None

    @property
    def rows(self) -> int:
        """Rows of the buffers."""
        return 0 if self.buffers is None else self.buffers.rows

    @property
    def bytes_per_token(self) -> float:
        """Bytes of keys and values of one token of one row."""
        if self.buffers is None:
            return 0.0
        layers = [layer for layer in self.buffers.layers if isinstance(layer, FixedLayer)]
        size = sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)
        return size / (self.buffers.rows * self.buffers.capacity)

    def add(self, prefilled: SequenceCache) -> None:
        """Append a row, in larger buffers where it needs them."""
        like = prefilled.cache if self._like is None else self._like
        lengths = [*self.lengths, prefilled.tokens]
        buffers = self._fitting(like, len(lengths), max(lengths) + 1)
        buffers.write(len(self.lengths), prefilled.cache.layers, prefilled.tokens)
        if self._like is None:
            self._like = emptied(prefilled.cache)
        self._use(buffers)
        self.lengths = lengths

    def _fitting(self, like: Cache, rows: int, tokens: int) -> Buffers:
        """Buffers for so many rows and tokens with all there is in them: the same, or others."""
        found = self.buffers
        if found is not None and found.rows >= rows and found.capacity >= tokens:
            return found
        least = (0, 0) if found is None else (found.rows, found.capacity)
        wanted = bucket(max(rows, least[0]), max(tokens, least[1]))
        larger = self._pool.take(like, *wanted)
        if found is not None:
            for row in range(len(self.lengths)):
                larger.copy_row(row, row, found)
        return larger

    def _use(self, buffers: Buffers) -> None:
        if self.buffers is not None and self.buffers is not buffers:
            self._pool.give_back(self.buffers)
        self.buffers = buffers

    def remove(self, rows: Collection[int]) -> None:
        """Remove rows; those behind move up, to smaller buffers where half of these will do."""
        kept = [row for row in range(len(self.lengths)) if row not in rows]
        buffers = self.buffers
        if buffers is None:
            return
        for place, row in enumerate(kept):
            if place != row:
                buffers.copy_row(place, row, buffers)
        self.lengths = [self.lengths[row] for row in kept]
        if not kept:
            self._pool.give_back(buffers)
            self.buffers = self._like = None
            return
        least = bucket(len(kept), max(self.lengths) + 1)
        if 2 * math.prod(least) <= buffers.rows * buffers.capacity:
            try:
                smaller = self._pool.take(self.like, *least)
            except Exception as error:
                if not exhausted(error):
                    raise
                return
            for row in range(len(kept)):
                smaller.copy_row(row, row, buffers)
            self._use(smaller)

    @property
    def like(self) -> Cache:
        """A cache of the layers' kinds, without rows."""
        assert self._like is not None
        return self._like

    def step_inputs(self) -> dict[str, Any]:
        """The cache, and the masks of every kind of layer, each bool [rows, 1, 1, capacity]."""
        buffers = self._fitting(self.like, len(self.lengths), max(self.lengths) + 1)
        self._use(buffers)
        buffers.place(self.lengths)
        return {"past_key_values": buffers.cache, "attention_mask": buffers.mask, "use_cache": True}

    def commit(self) -> None:
        """Keep the token that the model has added to every row."""
        self.lengths = [length + 1 for length in self.lengths]

    def rollback(self) -> None:
        """Nothing: the next token goes where the failed one is."""

    def snapshot(self, row: int) -> Snapshot:
        """A copy of one row."""
        assert self.buffers is not None
        return extract(self.like, self.buffers, row, self.lengths[row])

    @staticmethod
    def footprint(lengths: Sequence[int]) -> int:
        """How many tokens' memory rows of these lengths take together; a budget has room for twice as many."""
        rows, capacity = bucket(len(lengths), max(lengths)) if lengths else (0, 0)
        return -(-rows * capacity // 2)


def emptied(cache: Cache) -> Cache:
    """A cache of the same kinds of layers, with keys and values of no token."""
    empty = copy.copy(cache)
    layers: list[Any] = [copy.copy(layer) for layer in cache.layers]
    empty.layers = layers
    for layer in layers:
        if not isinstance(layer, DummyLayer):
            layer.keys, layer.values = (states[:1, :, :0].clone() for states in (layer.keys, layer.values))
    return empty


def extract(like: Cache, buffers: Buffers, row: int, tokens: int) -> Snapshot:
    """A copy of one row's ``tokens`` tokens, as a cache of the layers that prefilling makes."""
    kept = copy.copy(like)
    kept.layers = [taken(mine, theirs, row, tokens) for mine, theirs in zip(like.layers, buffers.layers, strict=True)]
    return Snapshot(kept, tokens)


def taken(like: Any, layer: Any, row: int, tokens: int) -> Any:
    """One row of a layer, in order."""
    if not isinstance(layer, FixedLayer):
        return copy.copy(like)
    alone: Any = DynamicLayer()
    kept = tokens
    if isinstance(like, SlidingLayer):
        alone = copy.copy(like)
        kept = min(tokens, like.sliding_window - 1)
        alone.cumulative_length = tokens
    alone.lazy_initialization(layer.keys, layer.values)
    slots = torch.arange(tokens - kept, tokens, device=layer.keys.device) % layer.keys.shape[2]
    alone.keys, alone.values = (states[row : row + 1].index_select(2, slots) for states in (layer.keys, layer.values))
    return alone
