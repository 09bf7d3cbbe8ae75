"""How one row draws its next token: arguments for ``generate``'s own processors, and the two it does not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from ...errors import OptionError
from ...options import FALLBACK_MIN_P, FALLBACK_TEMPERATURE, FALLBACK_TOP_K, FALLBACK_TOP_P, Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLDEST = 1e-5  # below, scores divided by it overflow; and only the likeliest token is left anyway
RULED_OUT = -100.0  # OpenAI's lowest bias, which is to ban a token
SEEDS = (-(2**63), 2**64 - 1)  # what torch takes
FALLBACKS = {
    "temperature": FALLBACK_TEMPERATURE,
    "top_k": FALLBACK_TOP_K,
    "top_p": FALLBACK_TOP_P,
    "min_p": FALLBACK_MIN_P,
}


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling with every question settled. ``temperature`` 0, or next to it, is greedy."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temperature < COLDEST

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of ``generate`` that build the same logits processors."""
        penalty = {"repetition_penalty": self.repetition_penalty} if self.repetition_penalty != 1.0 else {}
        if self.greedy:
            return {"do_sample": False, **penalty}
        return {
            "do_sample": True,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            **({"min_p": self.min_p} if self.min_p > 0 else {}),
            **penalty,
        }


def settle(sampling: Sampling, advice: Mapping[str, Any]) -> SamplingParams:
    """What the user says, else what the checkpoint advises, else the fallbacks.

    A checkpoint whose generation configuration says ``do_sample: false`` is greedy unless the user names a
    temperature. One that advises any sampling value is taken at its word: what it leaves out is off, not a fallback.
    Raises ``OptionError`` for a value out of range.
    """
    advised = {key: advice[key] for key in FALLBACKS if advice.get(key) is not None}
    neutral = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    base = neutral | advised if advised or "do_sample" in advice else dict(FALLBACKS)
    if advice.get("do_sample") is False:
        base["temperature"] = 0.0
    named = {key: value for key in FALLBACKS if (value := getattr(sampling, key)) is not None}
    values = base | named
    advised_penalty = advice.get("repetition_penalty") or 1.0
    penalty = advised_penalty if sampling.repetition_penalty is None else sampling.repetition_penalty
    warping = SamplingParams(repetition_penalty=penalty, **values)
    check_range("temperature", warping.temperature, 0.0, 100.0)
    check_range("top-k", warping.top_k, 0, 1 << 30)
    check_range("top-p", warping.top_p, 0.0, 1.0)
    check_range("min-p", warping.min_p, 0.0, 1.0)
    check_range("repetition-penalty", warping.repetition_penalty, 1e-3, 100.0)
    if sampling.seed is not None and not SEEDS[0] <= sampling.seed <= SEEDS[1]:
        raise OptionError(f"--seed {sampling.seed} is out of range.", "Use a whole number of at most 63 bits.", "seed")
    return warping


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ``OptionError`` for a value outside ``low``…``high``, or that is not a number."""
    if not low <= value <= high:
        field = name.replace("-", "_")
        raise OptionError(f"--{name} {value} is out of range.", f"Use a value from {low:g} to {high:g}.", param=field)


class CountPenalty(LogitsProcessor):
    """OpenAI's frequency and presence penalties over the tokens of the answer, not of the prompt."""

    def __init__(self, frequency: float, presence: float, prompt_tokens: int) -> None:
        self.frequency = frequency
        self.presence = presence
        self.prompt_tokens = prompt_tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``input_ids`` int64 [1, tokens so far], ``scores`` float32 [1, vocabulary]."""
        answer = input_ids[0, self.prompt_tokens :]
        if not len(answer):
            return scores
        counts = torch.bincount(answer, minlength=scores.shape[-1])[: scores.shape[-1]]
        return scores - self.frequency * counts - self.presence * (counts > 0)


class BiasProcessor(LogitsProcessor):
    """Adds OpenAI's ``logit_bias`` to the scores of single tokens; -100 rules one out."""

    def __init__(self, biases: Sequence[tuple[int, float]]) -> None:
        self.tokens = torch.tensor([token for token, _ in biases])
        self.biases = torch.tensor([-torch.inf if bias <= RULED_OUT else bias for _, bias in biases])

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``input_ids`` int64 [1, tokens so far], ``scores`` float32 [1, vocabulary]."""
        biases = self.biases.to(scores)[None]
        return scores.index_add(1, self.tokens.to(scores.device), biases)


def extra_processors(sampling: Sampling, prompt_tokens: int, vocabulary: int) -> LogitsProcessorList:
    """The processors that ``generate`` does not build itself, but for DRY and grammars."""
    processors = LogitsProcessorList()
    if sampling.logit_bias:
        for token, _ in sampling.logit_bias:
            if token >= vocabulary:
                raise OptionError(
                    f"logit_bias: the model has no token {token}; it has {vocabulary}.", param="logit_bias"
                )
        processors.append(BiasProcessor(sampling.logit_bias))
    frequency, presence = sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0
    check_range("frequency-penalty", frequency, -100.0, 100.0)
    check_range("presence-penalty", presence, -100.0, 100.0)
    if frequency or presence:
        processors.append(CountPenalty(frequency, presence, prompt_tokens))
    return processors
