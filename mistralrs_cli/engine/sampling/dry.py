"""The DRY penalty ("don't repeat yourself"): against answers that repeat whole passages.

A token that would continue a passage that occurred before is penalized, exponentially in the length of the passage:
https://github.com/oobabooga/text-generation-webui/pull/5677. Passages of the prompt count as well as the answer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...options import Dry
from .processors import to_device

LONGEST = 50  # tokens of one repetition that are compared; by then its penalty exceeds any logit


class DryProcessor:
    """Penalizes the tokens that would continue the longest repetitions."""

    def __init__(self, dry: Dry, tokenizer: Any, prompt: Sequence[int]) -> None:
        self.dry = dry
        self.tokenizer = tokenizer
        self.breaking: dict[int, bool] = {}
        self._tokens = list(prompt)

    def apply(self, logits: torch.Tensor) -> None:
        penalties = {
            token: self.dry.multiplier * self.dry.base ** (length - self.dry.allowed_length)
            for token, length in repetitions(self._tokens, self.tail(self._tokens)).items()
            if length >= self.dry.allowed_length and token < len(logits)
        }
        if penalties:
            tokens = to_device(torch.tensor(list(penalties)), logits.device)
            amounts = to_device(torch.tensor(list(penalties.values()), dtype=torch.float32), logits.device)
            logits[tokens] = logits[tokens] - amounts

    def accept(self, token: int) -> None:
        self._tokens.append(token)

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
