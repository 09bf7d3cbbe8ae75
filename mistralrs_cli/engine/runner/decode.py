"""Rows that decode together: one cache, one forward pass a token, each row its own position and its own drawing."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional

from ..kv.layers import first_rows, grow, join, keep_rows, mark, narrow
from ..sequence import SequenceState
from .rotary import dynamic_rope_modules, forget


class Batch:
    """A joined cache and the rows in it. A family whose rows cannot be joined gets one batch a row."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.rows: list[SequenceState] = []
        self.cache: Any = None  # a transformers Cache while there are rows
        self.mask = torch.empty(0, 0, dtype=torch.long)
        self._remembering = dynamic_rope_modules(model)

    @property
    def width(self) -> int:
        """Tokens in the joined cache, padding included."""
        return self.mask.shape[1]

    def join(self, row: SequenceState) -> None:
        """Take in a prefilled row; its cache becomes part of the joined one. Where that fails nothing has changed."""
        seen = torch.ones(1, row.cached, dtype=torch.long, device=row.ids.device)
        if self.cache is None:
            grow(row.cache)
            self.cache, self.mask = row.cache, seen
        else:
            width = max(self.width, row.cached)
            try:
                for mine, theirs in zip(self.cache.layers, row.cache.layers, strict=True):
                    join(mine, theirs, width)
                self.mask = torch.cat([pad_left(self.mask, width), pad_left(seen, width)])
            except BaseException:
                for layer in self.cache.layers:
                    first_rows(layer, len(self.rows), self.width)
                raise
        row.cache = None
        self.rows.append(row)

    def leave(self, leaving: set[int]) -> None:
        """Drop the rows with these indices, and the padding that only they needed. Never fails for want of memory."""
        kept = [index for index in range(len(self.rows)) if index not in leaving]
        self.rows = [self.rows[index] for index in kept]
        if not self.rows:
            self.cache, self.mask = None, torch.empty(0, 0, dtype=torch.long)
            return
        index = torch.tensor(kept, device=self.mask.device)
        for layer in self.cache.layers:
            keep_rows(layer, index)
        self.mask = self.mask[index]
        width = max(row.cached for row in self.rows)
        if width < self.width:
            self.mask = self.mask[:, -width:]
            for layer in self.cache.layers:
                narrow(layer, width)

    def step(self) -> torch.Tensor:
        """Run the last token of every row; the logits of the next ones, float32 [rows, vocabulary].

        Where that fails nothing has changed, and it can be done again, with fewer rows for instance.
        """
        before, marks = self.mask, [mark(layer) for layer in self.cache.layers]
        self.mask = functional.pad(self.mask, (0, 1), value=1)
        forget(self._remembering)
        padded = any(row.cached + 1 < self.width for row in self.rows)
        try:
            outputs = self.model(
                input_ids=torch.cat([row.ids[:, -1:] for row in self.rows]),
                attention_mask=self.mask if padded else None,
                position_ids=torch.cat([row.position for row in self.rows], dim=-2),
                past_key_values=self.cache,
                use_cache=True,
                **{name: torch.cat([row.carried[name] for row in self.rows]) for name in self.rows[0].carried},
            )
            logits: torch.Tensor = outputs.logits[:, -1].float()
        except BaseException:
            self.mask = before
            for go_back in marks:
                go_back()
            raise
        for row in self.rows:
            row.cached += 1
            row.position = row.position + 1
        return logits


def pad_left(mask: torch.Tensor, width: int) -> torch.Tensor:
    """A mask [rows, tokens] with zeros before it, up to ``width``."""
    return functional.pad(mask, (width - mask.shape[1], 0))
