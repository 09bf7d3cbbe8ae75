"""Log probabilities of drawn tokens, as the model gives them: before penalties, temperature and grammar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..events import ScoredToken, TokenLogprobs


@dataclass(frozen=True, slots=True)
class Scores:
    """Tells how likely a drawn token was, and the ``count`` likeliest ones."""

    text: Callable[[int], str]
    count: int

    def __call__(self, logits: torch.Tensor, token: int) -> TokenLogprobs:
        """``logits`` float32 [1, vocabulary]."""
        logprobs = logits[0].log_softmax(-1)
        values, tokens = logprobs.topk(self.count)
        likeliest = zip(tokens.tolist(), values.tolist(), strict=True)
        return TokenLogprobs(
            ScoredToken(token, self.text(token), float(logprobs[token])),
            tuple(ScoredToken(other, self.text(other), value) for other, value in likeliest),
        )
