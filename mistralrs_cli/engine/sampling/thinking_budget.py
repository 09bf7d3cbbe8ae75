"""The thinking budget: at most so many tokens inside thinking tags."""

from __future__ import annotations

import torch

from ..output_parser import ThinkingTokens


class ThinkingBudget:
    """Allows the token that ends a thought and nothing else, once thoughts have taken ``budget`` tokens of the answer.

    ``thinking``: whether the prompt ends inside a thought.
    """

    def __init__(self, tokens: ThinkingTokens, budget: int, *, thinking: bool) -> None:
        self.tokens = tokens
        self.left = budget
        self.thinking = thinking

    def apply(self, logits: torch.Tensor) -> None:
        if self.thinking and self.left <= 0:
            logits.fill_(-torch.inf)
            logits[self.tokens.end] = 0.0

    def accept(self, token: int) -> None:
        if token == self.tokens.begin:
            self.thinking = True
        elif token == self.tokens.end:
            self.thinking = False
        elif self.thinking:
            self.left -= 1
