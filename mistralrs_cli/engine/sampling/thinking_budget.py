"""A thought that takes as many tokens as it may and no more."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from ..output_parser import ThinkingTokens


class ThinkingBudget(LogitsProcessor):
    """Ends a thought, by the token for it, once thoughts have taken ``budget`` tokens of the answer."""

    def __init__(self, tokens: ThinkingTokens, budget: int, prompt_tokens: int, *, thinking: bool) -> None:
        self.tokens = tokens
        self.left = budget
        self.seen = prompt_tokens
        self.thinking = thinking

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``input_ids`` int64 [1, tokens so far], ``scores`` float32 [1, vocabulary]."""
        for token in input_ids[0, self.seen :].tolist():
            self.seen += 1
            if token == self.tokens.begin:
                self.thinking = True
            elif token == self.tokens.end:
                self.thinking = False
            elif self.thinking:
                self.left -= 1
        if not self.thinking or self.left > 0:
            return scores
        ended = torch.full_like(scores, -torch.inf)
        ended[:, self.tokens.end] = 0.0
        return ended
