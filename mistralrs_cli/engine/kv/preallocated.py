"""A layer of a KV cache that grows in place."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

FIRST_CAPACITY = 256
NO_LIMIT = 1 << 62


class PreallocatedLayer(DynamicLayer):
    """A full-attention layer over buffers that double, instead of copying the whole cache for every token.

    ``contents`` are views [rows, heads, tokens, width] of the buffers. ``keys`` and ``values`` are two of them, so
    everything that reads a ``DynamicLayer`` reads this one.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(keys, values)
        self.adopt(keys, values)

    @property
    def contents(self) -> tuple[torch.Tensor, ...]:
        """What is kept of the tokens: keys and values."""
        return tuple(buffer[..., : self._used, :] for buffer in self._buffers)

    @property
    def room(self) -> int:
        """How many tokens the buffers hold at most."""
        return self._buffers[0].shape[-2]

    def adopt(self, *contents: torch.Tensor, least: int = 0, most: int = NO_LIMIT) -> None:
        """Replace the contents, with room for ``least`` to ``most`` tokens. Without memory for that nothing changes."""
        used = contents[0].shape[-2]
        room = max(min(max(FIRST_CAPACITY, 2 * used, least), most), used)
        self._buffers = tuple([roomy(part, room) for part in contents])
        self._used = used
        self._show()

    def _show(self) -> None:
        self.keys, self.values = self.contents

    def append(self, *parts: torch.Tensor) -> None:
        """Write ``[rows, heads, new tokens, width]`` behind the contents, in place."""
        end = self._used + parts[0].shape[-2]
        if end > self.room:
            self.adopt(*self.contents, least=end)
        for buffer, part in zip(self._buffers, parts, strict=True):
            buffer[..., self._used : end, :] = part
        self._used = end
        self._show()

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Append ``[rows, heads, new tokens, head size]`` in place."""
        self.append(key_states, value_states)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keep these rows, in this order, and no more room than before: they may have to leave for want of it."""
        index = beam_idx.to(self._buffers[0].device)
        self.adopt(*[part.index_select(0, index) for part in self.contents], most=self.room)

    def cut(self, rows: int, start: int, end: int) -> None:
        """Keep the first rows' tokens from ``start`` to ``end``, where they lie."""
        self._buffers = tuple(buffer[:rows, :, start:] for buffer in self._buffers)
        self._used = end - start
        self._show()


def roomy(states: torch.Tensor, room: int) -> torch.Tensor:
    """A buffer [rows, heads, room, head size] that begins with ``states``."""
    buffer = states.new_empty(*states.shape[:-2], room, states.shape[-1])
    buffer[..., : states.shape[-2], :] = states
    return buffer
