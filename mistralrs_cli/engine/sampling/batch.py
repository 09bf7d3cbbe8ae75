"""Sampling a token for every sequence of a step at once.

The tokens that top-k, top-p and min-p keep are nearly always among a few hundred with the largest logits, so only
those are sorted. Whether they were enough is known afterwards; if not, more are taken. All weights are whole numbers
(``weights``), whose sums are exact in any order. Therefore a token does not depend on how many candidates were looked
at, on the sequences beside it, or on the order in which a device adds up.

On a GPU the host waits once a step, for the tokens of all sequences together (and once more in the rare step where the
candidates were not enough). Only grammars need the host before: their masks are computed there, and sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ...errors import GenerationError, MistralrsError, OptionError
from .largest import argmax, block_maxima, topk
from .logprobs import TopLogprobs, top_logprobs
from .processors import to_device
from .sampler import SequenceSampler

CANDIDATES = 256  # of a sequence without top-k


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sampled token, and the log probabilities that were asked for."""

    token: int
    logprobs: TopLogprobs | None = None


class Draw(NamedTuple):
    """A row of the logits that is not greedy, its random number, and what restricts it; ``top_k`` 0 does not."""

    row: int
    uniform: float
    temperature: float
    top_k: int
    top_p: float
    min_p: float

    @property
    def candidates(self) -> int:
        """How many of the largest logits to look at first: more than top-k, as equal values are all kept."""
        return 2 * self.top_k + 24 if self.top_k else CANDIDATES

    @property
    def unrestricted(self) -> bool:
        """Whether every token may be sampled."""
        return not self.top_k and self.top_p >= 1 and self.min_p <= 0


def sample(logits: torch.Tensor, samplers: Sequence[SequenceSampler]) -> list[Sampled | Exception]:
    """A token for each sequence, from ``logits`` float32 [sequences, vocabulary], or the error that it failed with.

    Errors are ``OptionError`` where a request's own rules exclude every token, ``GenerationError`` for logits that are
    not numbers, and what a processor raised; each concerns its own sequence alone. The processors accept the tokens.
    """
    if logits.device.type == "mps":  # has no float64
        logits = logits.cpu()
    scores, failures = processed(logits, samplers)
    tokens: dict[int, int] = {}
    for row, token in enumerate(choose(scores, samplers)):
        if token is not None:
            tokens[row] = token
        elif row not in failures:
            failures[row] = nothing_left(logits[row])
    for row in failures.keys() & tokens.keys():
        del tokens[row]
    counts = {row: count for row in tokens if (count := samplers[row].logprobs) is not None}
    logprobs = top_logprobs(logits, tokens, counts)
    for row, token in list(tokens.items()):
        try:
            samplers[row].accept(token)
        except Exception as error:
            failures[row] = error
            del tokens[row]
    return [Sampled(tokens[row], logprobs.get(row)) if row in tokens else failures[row] for row in range(len(samplers))]


def processed(logits: torch.Tensor, samplers: Sequence[SequenceSampler]) -> tuple[torch.Tensor, dict[int, Exception]]:
    """The logits after each sequence's processors, and which of them failed; ``logits`` stay as they are."""
    failures: dict[int, Exception] = {}
    if not any(sampler.processors for sampler in samplers):
        return logits, failures
    scores = logits.clone()
    for row, sampler in enumerate(samplers):
        try:
            for processor in sampler.processors:
                processor.apply(scores[row])
        except Exception as error:
            failures[row] = error
    return scores, failures


def nothing_left(logits: torch.Tensor) -> MistralrsError:
    """Why no token could be sampled from ``logits`` float32 [vocabulary]."""
    if logits.isnan().any() or not logits.isfinite().any():
        return GenerationError("The model's scores are not numbers.", "Try --dtype f32.")
    return OptionError("logit_bias and the grammar exclude every token.", "Exclude fewer tokens.", param="logit_bias")


def choose(scores: torch.Tensor, samplers: Sequence[SequenceSampler]) -> list[int | None]:
    """A token for each row of ``scores`` float32 [sequences, vocabulary]; ``None`` where the largest is not finite."""
    vocabulary = scores.shape[-1]
    maxima = block_maxima(scores)
    largest, tokens = argmax(scores, maxima)
    complete = torch.ones_like(tokens)
    draws = [draw_of(row, sampler, vocabulary) for row, sampler in enumerate(samplers) if not sampler.params.greedy]
    if restricted := [draw for draw in draws if not draw.unrestricted]:
        rows = to_device(torch.tensor([draw.row for draw in restricted]), scores.device)
        tokens[rows], complete[rows] = draw_from_largest(scores, maxima, rows, restricted)
    remaining = [draw for draw in draws if draw.unrestricted]
    while True:
        for draw in remaining:
            tokens[draw.row] = draw_from_all(scores[draw.row], draw)
            complete[draw.row] = 1
        found = torch.stack([tokens, largest.isfinite().long(), complete]).tolist()  # here the host waits for a GPU
        remaining = [draw for draw in restricted if found[1][draw.row] and not found[2][draw.row]]
        if not remaining:
            return [token if finite else None for token, finite, _ in zip(*found, strict=True)]


def draw_of(row: int, sampler: SequenceSampler, vocabulary: int) -> Draw:
    """What is drawn next for a sequence; its random number is used up."""
    params = sampler.params
    top_k = params.top_k if params.top_k < vocabulary else 0
    return Draw(row, sampler.uniform(), params.temperature, top_k, params.top_p, params.min_p)


def draw_from_largest(
    scores: torch.Tensor, maxima: torch.Tensor, rows: torch.Tensor, draws: Sequence[Draw]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token for each of some rows out of the largest of ``scores``, and 1 where those were enough, else 0.

    What is kept is what ``transformers``' warpers keep: top-k all tokens that equal the k-th; top-p then the fewest of
    the most likely whose probability reaches ``top_p``, of equal ones the first; min-p those that
    are at least ``min_p`` times as likely as the most likely. One token is always kept.
    """
    vocabulary = scores.shape[-1]
    table = torch.tensor([draw[1:] for draw in draws], dtype=torch.float64)
    uniform, temperature, top_k, top_p, min_p = to_device(table, scores.device)[..., None].unbind(1)
    values, tokens = topk(scores, maxima, rows, min(max(draw.candidates for draw in draws), vocabulary))
    values = values / temperature.float()
    smallest, kth = values[:, -1:], values.gather(-1, (top_k.long() - 1).clamp(min=0))
    tokens, order = tokens.sort(-1)
    values, rank = values.gather(-1, order).sort(dim=-1, descending=True, stable=True)
    chances = relative(values, values[:, :1])
    weight = torch.where((values >= kth) | (top_k == 0), weights(chances, vocabulary), 0)
    total = weight.sum(-1, keepdim=True)
    for index, draw in enumerate(draws):
        if not draw.top_k and draw.top_p < 1:
            every = scores[draw.row] / draw.temperature
            total[index] = weights(relative(every, every.amax()), vocabulary).sum()
    keep = (weight.cumsum(-1) - weight < (top_p * total).clamp(min=1)) | (top_p >= 1)
    keep &= chances >= min_p
    last = torch.where(keep, values, torch.inf).amin(-1, keepdim=True)
    complete = (torch.where(top_k > 0, kth, last) > smallest) | (smallest == -torch.inf)
    complete |= values.shape[-1] == vocabulary
    weight = torch.zeros_like(weight).scatter(-1, rank, torch.where(keep, weight, 0))
    return tokens.gather(-1, draw_index(weight, uniform))[:, 0], complete[:, 0].long()


def draw_from_all(scores: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A token int64 [], like ``draw_from_largest``, out of all ``scores`` float32 [vocabulary] of a row."""
    values = scores / draw.temperature
    chances = relative(values, values.amax())
    weight = weights(chances, len(values))
    if draw.top_k:
        weight = torch.where(values >= values.topk(draw.top_k).values[-1], weight, 0)
    if draw.top_p < 1:
        target = (draw.top_p * weight.sum()).clamp(min=1)
        ordered = descending(torch.where(weight > 0, values, -torch.inf))
        mass = weights(relative(ordered, ordered[:1]), len(values))
        count = (mass.cumsum(-1) - mass < target).sum()
        last = ordered.gather(-1, count[None] - 1)
        equal = values == last
        spare = count - (values > last).sum()  # of those that equal the last one
        weight = torch.where((values > last) | (equal & (equal.cumsum(-1) <= spare)), weight, 0)
    if draw.min_p > 0:
        weight = torch.where(chances >= draw.min_p, weight, 0)
    uniform = torch.full((1, 1), draw.uniform, dtype=torch.float64, device=scores.device)
    return draw_index(weight[None], uniform)[0, 0]


def descending(values: torch.Tensor) -> torch.Tensor:
    """``values`` float32 [n] from the largest to the smallest. NumPy sorts ten times as fast as PyTorch on a CPU."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy())).flip(-1)
    return values.sort(descending=True).values


def relative(values: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """Probabilities as multiples of the largest one, float64, from ``values`` float32 after temperature."""
    return values.double().sub_(largest).exp_()


def weights(chances: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Probabilities as whole numbers in float64, of which the largest is 2⁵²⁻ᵇ for a vocabulary of b bits.

    The sum of all of them is at most 2⁵², so that sums are exact in any order.
    """
    return (chances * 2.0 ** (52 - (vocabulary - 1).bit_length())).round_()


def draw_index(weight: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Where the sum of ``weight`` [rows, n] along a row passes ``uniform`` [rows, 1] of the whole: int64 [rows, 1]."""
    sums = weight.cumsum(-1)
    target = torch.minimum((uniform * sums[:, -1:]).floor(), sums[:, -1:] - 1)
    return torch.searchsorted(sums, target, right=True).clamp(max=weight.shape[-1] - 1)
