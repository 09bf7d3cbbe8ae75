"""One sequence on the worker thread: its tokens, their positions, and how the next one is sampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import GenerationError, MistralrsError, OptionError
from .kv.snapshot import SequenceCache
from .sampling.grammar import GrammarProcessor


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
    processors: Any  # a LogitsProcessorList
    generator: torch.Generator | None
    prompt_tokens: int
    carried: dict[str, torch.Tensor] = field(default_factory=dict)

    def resume(self, fresh: SequenceState) -> None:
        """Go on from the cache of a sequence that ran all of this one's tokens as its prompt."""
        self.cache, self.cached, self.position = fresh.cache, fresh.cached, fresh.position

    def draw(self, logits: torch.Tensor) -> int:
        """Append the next token given ``logits`` float32 [1, vocabulary]; greedy where there is no generator.

        Raises ``OptionError`` where the request's own rules leave no token, ``GenerationError`` for a model's mistake.
        """
        scores = self.processors(self.ids, logits)
        if self.generator is None:
            chances = scores
            token = chances.argmax(-1, keepdim=True)
        else:
            chances = scores.softmax(-1)  # on a GPU, drawing from what are no chances would end the whole process
            token = torch.multinomial(chances.nan_to_num(1.0), 1, generator=self.generator)
        if not chances.gather(-1, token).isfinite():
            raise nothing_left(logits)
        self.ids = torch.cat([self.ids, token.to(self.ids.device)], -1)
        drawn = int(token)
        for processor in self.processors:
            if isinstance(processor, GrammarProcessor):
                processor.follow(drawn)
        return drawn


def nothing_left(logits: torch.Tensor) -> MistralrsError:
    """Why no token of ``logits`` float32 [1, vocabulary] could be drawn."""
    if logits.isnan().any() or not logits.isfinite().any():
        return GenerationError("The model's scores are not numbers.", "Try --dtype f32.")
    return OptionError("logit_bias and the grammar exclude every token.", param="logit_bias")
