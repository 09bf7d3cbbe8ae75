"""A KV cache whose rows share the right edge, as in a left-padded batch. It grows as its rows do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
import torch.nn.functional as functional

from .layers import bytes_of, first_rows, grow, join, joinable, keep_rows, mark, narrow
from .snapshot import SequenceCache, Snapshot, extract


class JoinedCache:
    """One transformers cache for all rows (``KVCache``); ``device`` is where the model takes its attention mask."""

    def __init__(self, device: torch.device) -> None:
        self.lengths: list[int] = []
        self._cache: Any = None  # a transformers Cache while there are rows
        self._mask = torch.empty(0, 0, dtype=torch.long, device=device)  # [rows, width]
        self._undo: list[Callable[[], None]] = []

    @property
    def rows(self) -> int:
        """Rows of a step."""
        return len(self.lengths)

    @property
    def width(self) -> int:
        """Tokens of the widest row: all take as much memory as that one."""
        return self._mask.shape[1]

    @property
    def batchable(self) -> bool:
        """Whether it may have several rows and a step can be rolled back."""
        return self._cache is None or joinable(self._cache)

    @property
    def bytes_per_token(self) -> float:
        """Bytes of keys and values of one token of one row."""
        return bytes_of(self._cache) / (len(self.lengths) * self.width) if self.lengths else 0.0

    def add(self, prefilled: SequenceCache) -> None:
        """Append a row, widening the others or padding it."""
        row = torch.ones(1, prefilled.tokens, dtype=torch.long, device=self._mask.device)
        if self._cache is None:
            grow(prefilled.cache)
            self._cache, self._mask = prefilled.cache, row
        else:
            width = max(self.width, prefilled.tokens)
            try:
                for mine, theirs in zip(self._cache.layers, prefilled.cache.layers, strict=True):
                    join(mine, theirs, width)
                self._mask = torch.cat([pad_left(self._mask, width), pad_left(row, width)])
            except BaseException:
                for layer in self._cache.layers:
                    first_rows(layer, len(self.lengths), self.width)
                raise
        self.lengths.append(prefilled.tokens)

    def remove(self, rows: Collection[int]) -> None:
        """Remove rows, and the padding that only they needed."""
        kept = [row for row in range(len(self.lengths)) if row not in rows]
        self.lengths = [self.lengths[row] for row in kept]
        if not kept:
            self._cache, self._mask = None, self._mask.new_empty(0, 0)
            return
        index = torch.tensor(kept, device=self._mask.device)
        for layer in self._cache.layers:
            keep_rows(layer, index)
        self._mask = self._mask[index]
        width = max(self.lengths)
        if width < self.width:
            self._mask = self._mask[:, -width:]
            for layer in self._cache.layers:
                narrow(layer, width)

    def step_inputs(self) -> dict[str, Any]:
        """The cache, and the mask [rows, width + 1] where there is padding to hide."""
        self._undo = [mark(layer) for layer in self._cache.layers]
        padded = min(self.lengths) < self.width
        mask = functional.pad(self._mask, (0, 1), value=1) if padded else None
        return {"past_key_values": self._cache, "attention_mask": mask, "use_cache": True}

    def commit(self) -> None:
        """Keep the token that the model has added to every row."""
        self._mask = functional.pad(self._mask, (0, 1), value=1)
        self.lengths = [length + 1 for length in self.lengths]
        self._undo = []

    def rollback(self) -> None:
        """Drop what the model has written since ``step_inputs``."""
        for undo in self._undo:
            undo()
        self._undo = []

    def snapshot(self, row: int) -> Snapshot:
        """A copy of one row."""
        return extract(self._cache, row, self.lengths[row])

    @staticmethod
    def footprint(lengths: Sequence[int]) -> int:
        """How many tokens' memory rows of these lengths take together: all are as wide as the widest."""
        return len(lengths) * max(lengths, default=0)


def pad_left(mask: torch.Tensor, width: int) -> torch.Tensor:
    """A mask [rows, tokens] with zeros before it, up to ``width``."""
    return functional.pad(mask, (width - mask.shape[1], 0))
