"""How one sequence samples its tokens, from its first to its last."""

from __future__ import annotations

import secrets

import torch

from .grammar import GrammarProcessor
from .params import SamplingParams
from .processors import LogitsProcessor


class SequenceSampler:
    """Sampling parameters, logits processors in order, and random numbers of one sequence.

    ``logprobs`` is how many of the most likely tokens to report beside each sampled one; ``None`` reports nothing. The
    random numbers come from a generator on the CPU, one for each token, whatever the model's device: neither the
    device nor the sequences beside this one change them, and a GPU need not be asked for them.
    """

    def __init__(
        self, params: SamplingParams, processors: list[LogitsProcessor] | None = None, logprobs: int | None = None
    ) -> None:
        self.params = params
        self.processors = processors or []
        self.logprobs = logprobs
        self._generator: torch.Generator | None = None
        if not params.greedy:
            self._generator = torch.Generator()
            self._generator.manual_seed(secrets.randbits(63) if params.seed is None else params.seed)

    def uniform(self) -> float:
        """The next random number, from 0 up to but not including 1, in steps of 2⁻⁵³."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))

    def accept(self, token: int) -> None:
        """Tell the processors which token was sampled."""
        for processor in self.processors:
            processor.accept(token)

    @property
    def grammar_complete(self) -> bool:
        """Whether the answer so far matches its whole grammar, if it has one."""
        return all(processor.complete for processor in self.processors if isinstance(processor, GrammarProcessor))
