"""The DRY penalty ("don't repeat yourself"): against answers that go round in circles.

A token that would go on with a passage said before is penalized, exponentially in the length of the passage:
https://github.com/oobabooga/text-generation-webui/pull/5677. Prompt and answer both count as said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor

from ...options import Dry

LONGEST = 50  # tokens of one repetition that are looked at; by then its penalty is beyond any score


class DryProcessor(LogitsProcessor):
    """Penalizes the tokens that would continue the longest repetitions."""

    def __init__(self, dry: Dry, tokenizer: Any) -> None:
        self.dry = dry
        self.tokenizer = tokenizer
        self.breaking: dict[int, bool] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``input_ids`` int64 [1, tokens so far], ``scores`` float32 [1, vocabulary]."""
        ids = input_ids[0].tolist()
        scores = scores.clone()
        for token, length in repetitions(ids, self.tail(ids)).items():
            if length >= self.dry.allowed_length:
                scores[0, token] -= self.dry.multiplier * self.dry.base ** (length - self.dry.allowed_length)
        return scores

    def tail(self, ids: Sequence[int]) -> int:
        """How many of the last tokens a repetition may consist of: none before a breaker."""
        for length in range(min(len(ids), LONGEST)):
            if self.breaks(ids[-1 - length]):
                return length
        return min(len(ids), LONGEST)

    def breaks(self, token: int) -> bool:
        """Whether a token's text holds a breaker."""
        if token not in self.breaking:
            text = self.tokenizer.decode([token])
            self.breaking[token] = any(breaker in text for breaker in self.dry.breakers)
        return self.breaking[token]


def repetitions(ids: Sequence[int], longest: int) -> dict[int, int]:
    """For each token that would repeat a passage: how many of the last tokens that passage already shares.

    ``[a b c a b]`` → ``{c: 2}``. At most ``longest`` tokens are compared.
    """
    found: dict[int, int] = {}
    if longest == 0:
        return found
    last = ids[-1]
    for end in range(len(ids) - 1):
        if ids[end] != last:
            continue
        length = 1
        while length < longest and length <= end and ids[end - length] == ids[-1 - length]:
            length += 1
        token = ids[end + 1]
        found[token] = max(found.get(token, 0), length)
    return found
