"""Logits processors: what changes a sequence's logits before a token is sampled from them.

They run in this order: what the checkpoint's own configuration asks for, the repetition penalty, ``logit_bias``,
frequency and presence penalties, DRY, the grammar, the thinking budget. Temperature, top-k, top-p and min-p follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from ...errors import OptionError
from .params import SamplingParams

BANNED = -100.0  # OpenAI's lowest bias bans a token


class LogitsProcessor(Protocol):
    """Changes the logits of one sequence, given its tokens so far.

    Tokens are given on the host, and what goes to the logits' device goes without waiting for it.
    """

    def apply(self, logits: torch.Tensor) -> None:
        """Change ``logits`` float32 [vocabulary] in place."""

    def accept(self, token: int) -> None:
        """Take note of the token that was sampled."""


class RepetitionPenalty:
    """Divides the positive logits of tokens in prompt and answer by ``penalty``, and multiplies the negative ones.

    https://arxiv.org/abs/1909.05858, as ``transformers.RepetitionPenaltyLogitsProcessor`` has it.
    """

    def __init__(self, penalty: float, prompt: Sequence[int]) -> None:
        self.penalty = penalty
        self._seen = set(prompt)
        self._index: torch.Tensor | None = None

    def apply(self, logits: torch.Tensor) -> None:
        if self._index is None:  # a placeholder of an image may lie outside the vocabulary
            inside = sorted(token for token in self._seen if token < len(logits))
            self._index = to_device(torch.tensor(inside, dtype=torch.long), logits.device)
        values = logits[self._index]
        logits[self._index] = torch.where(values < 0, values * self.penalty, values / self.penalty)

    def accept(self, token: int) -> None:
        if token not in self._seen:
            self._seen.add(token)
            if self._index is not None:
                self._index = torch.cat([self._index, self._index.new_full((1,), token)])


class LogitBias:
    """Adds OpenAI's ``logit_bias`` to the logits of single tokens; -100 bans a token."""

    def __init__(self, biases: Sequence[tuple[int, float]]) -> None:
        self._tokens = torch.tensor([token for token, _ in biases])
        values = [-torch.inf if bias <= BANNED else bias for _, bias in biases]
        self._biases = torch.tensor(values, dtype=torch.float32)

    def apply(self, logits: torch.Tensor) -> None:
        if self._tokens.device != logits.device:
            self._tokens, self._biases = self._tokens.to(logits.device), self._biases.to(logits.device)
        logits.index_add_(0, self._tokens, self._biases)

    def accept(self, token: int) -> None:
        pass


class CountPenalty:
    """OpenAI's frequency and presence penalties over the tokens of the answer, not of the prompt."""

    def __init__(self, frequency: float, presence: float) -> None:
        self.frequency = frequency
        self.presence = presence
        self._counts = Counter[int]()

    def apply(self, logits: torch.Tensor) -> None:
        if self._counts:
            tokens = to_device(torch.tensor(list(self._counts)), logits.device)
            counts = to_device(torch.tensor(list(self._counts.values()), dtype=torch.float32), logits.device)
            logits[tokens] = logits[tokens] - self.frequency * counts - self.presence

    def accept(self, token: int) -> None:
        self._counts[token] += 1


class TransformersProcessors:
    """The processors that ``generate`` builds from the checkpoint's own configuration, ``suppress_tokens`` for one."""

    def __init__(self, processors: Callable[..., torch.Tensor], prompt: Sequence[int]) -> None:
        self._processors = processors
        self._tokens = list(prompt)

    def apply(self, logits: torch.Tensor) -> None:
        tokens = to_device(torch.tensor([self._tokens]), logits.device)
        logits.copy_(self._processors(tokens, logits[None])[0])

    def accept(self, token: int) -> None:
        self._tokens.append(token)


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``values`` of the host on a device, from pinned memory on a GPU, so that the host need not wait."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def penalties(params: SamplingParams, prompt: Sequence[int], vocabulary: int) -> list[LogitsProcessor]:
    """The processors that ``params`` ask for, in order. Raises ``OptionError`` for a bias of an unknown token."""
    processors: list[LogitsProcessor] = []
    if params.repetition_penalty != 1.0:
        processors.append(RepetitionPenalty(params.repetition_penalty, prompt))
    if params.logit_bias:
        for token, _ in params.logit_bias:
            if token >= vocabulary:
                raise OptionError(
                    f"logit_bias: the model has no token {token}.",
                    f"Its tokens are 0 to {vocabulary - 1}.",
                    param="logit_bias",
                )
        processors.append(LogitBias(params.logit_bias))
    if params.frequency_penalty or params.presence_penalty:
        processors.append(CountPenalty(params.frequency_penalty, params.presence_penalty))
    return processors
