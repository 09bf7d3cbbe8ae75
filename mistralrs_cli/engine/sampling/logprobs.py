"""Log probabilities of tokens, as the model gives them: before penalties, temperature and grammar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ...events import PromptLogprobs, ScoredToken, TokenLogprobs
from .processors import to_device

PROMPT_CHUNK = 64  # positions of a prompt whose logits become log probabilities at a time


class TopLogprobs(NamedTuple):
    """The log probability of a token, and the most likely tokens with theirs."""

    logprob: float
    tokens: list[int]
    logprobs: list[float]


def top_logprobs(logits: torch.Tensor, tokens: Mapping[int, int], counts: Mapping[int, int]) -> dict[int, TopLogprobs]:
    """For each row in ``counts`` its token's log probability and so many of the most likely tokens.

    ``logits`` float32 [rows, vocabulary] as the model gives them; ``tokens`` holds a token for each row. On a GPU the
    host waits once for each count.
    """
    found: dict[int, TopLogprobs] = {}
    for count in sorted(set(counts.values())):
        rows = [row for row, wanted in counts.items() if wanted == count]
        index = to_device(torch.tensor(rows), logits.device)
        chosen = to_device(torch.tensor([[tokens[row]] for row in rows]), logits.device)
        logprobs = logits[index].log_softmax(-1)
        values, likely = logprobs.topk(count)
        lines = torch.cat(
            [logprobs.gather(-1, chosen), values, likely.to(values)], -1
        )  # float32 holds whole numbers up to 2²⁴
        for row, (logprob, *line) in zip(rows, lines.tolist(), strict=True):
            found[row] = TopLogprobs(logprob, list(map(int, line[count:])), line[:count])
    return found


@dataclass(frozen=True, slots=True)
class Scores:
    """Log probabilities as a request gets them, with ``count`` of the most likely tokens beside each.

    ``text`` and ``encoded`` give a token's text and its own bytes.
    """

    text: Callable[[int], str]
    encoded: Callable[[int], bytes]
    count: int

    def token(self, token: int, logprobs: TopLogprobs) -> TokenLogprobs:
        """A sampled token."""
        likeliest = zip(logprobs.tokens, logprobs.logprobs, strict=True)
        chosen = self._scored(token, logprobs.logprob)
        return TokenLogprobs(chosen, tuple(self._scored(other, value) for other, value in likeliest))

    def prompt(self, logits: torch.Tensor, ids: Sequence[int]) -> PromptLogprobs:
        """The tokens of a prompt, each from the ``logits`` [1, tokens, vocabulary] of the position before it."""
        found = [TokenLogprobs(self._scored(ids[0], math.nan))]
        for start in range(0, len(ids) - 1, PROMPT_CHUNK):
            after = ids[start + 1 : start + 1 + PROMPT_CHUNK]
            rows = logits[0, start : start + len(after)].float()
            logprobs = top_logprobs(rows, dict(enumerate(after)), dict.fromkeys(range(len(after)), self.count))
            found += [self.token(token, logprobs[row]) for row, token in enumerate(after)]
        return PromptLogprobs(tuple(found))

    def _scored(self, token: int, logprob: float) -> ScoredToken:
        return ScoredToken(token, self.text(token), logprob, self.encoded(token))
