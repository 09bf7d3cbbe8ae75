"""Log probabilities of tokens, as the model gives them: before penalties, temperature and grammar."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ...events import PromptLogprobs, ScoredToken, TokenLogprobs

AT_ONCE = 64  # positions of a prompt whose logits are made log probabilities together


@dataclass(frozen=True, slots=True)
class Scores:
    """Tells how likely a token was, and the ``count`` likeliest ones. ``encoded`` gives a token's own bytes."""

    text: Callable[[int], str]
    encoded: Callable[[int], bytes]
    count: int

    def __call__(self, logits: torch.Tensor, token: int) -> TokenLogprobs:
        """A drawn token. ``logits`` float32 [1, vocabulary]."""
        return self._told(logits[0].log_softmax(-1), token)

    def of_prompt(self, logits: torch.Tensor, ids: Sequence[int]) -> PromptLogprobs:
        """The tokens of a prompt. ``logits`` [1, tokens, vocabulary]; each position tells of the token after it."""
        told = [TokenLogprobs(self._scored(ids[0], math.nan))]
        for start in range(0, len(ids) - 1, AT_ONCE):
            after = ids[start + 1 : start + 1 + AT_ONCE]
            rows = logits[0, start : start + len(after)].float().log_softmax(-1)
            told += [self._told(row, token) for row, token in zip(rows, after, strict=True)]
        return PromptLogprobs(tuple(told))

    def _told(self, logprobs: torch.Tensor, token: int) -> TokenLogprobs:
        values, tokens = logprobs.topk(self.count)
        likeliest = zip(tokens.tolist(), values.tolist(), strict=True)
        chosen = self._scored(token, float(logprobs[token]))
        return TokenLogprobs(chosen, tuple(self._scored(other, value) for other, value in likeliest))

    def _scored(self, token: int, logprob: float) -> ScoredToken:
        return ScoredToken(token, self.text(token), logprob, self.encoded(token))
