"""One sequence on the worker thread: its tokens and their positions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from transformers import LogitsProcessorList

from .kv.snapshot import SequenceCache


@dataclass(slots=True, eq=False)
class SequenceState:
    """A sequence being decoded.

    ``ids`` int64 [1, tokens so far]; ``position`` the next position id, [1, 1] or [axes, 1, 1] for rotary positions
    of several axes; ``cached`` how many tokens the KV cache holds. ``carried`` are the arguments beside these that the
    model wants with every token, each [1, 1, …].
    """

    ids: torch.Tensor
    position: torch.Tensor
    cached: int
    cache: SequenceCache | None  # None while it is part of a batch's
    processors: LogitsProcessorList  # what the checkpoint's own configuration asks for
    prompt_tokens: int
    carried: dict[str, torch.Tensor] = field(default_factory=dict)

    def resume(self, fresh: SequenceState) -> None:
        """Go on from the cache of a sequence that ran all of this one's tokens as its prompt."""
        self.cache, self.cached, self.position = fresh.cache, fresh.cached, fresh.position

    def append(self, token: int) -> None:
        """Add a token that was sampled."""
        self.ids = torch.cat([self.ids, self.ids.new_full((1, 1), token)], -1)
