"""What is sampled follows the formulas, keeps what transformers' warpers keep, and does not depend on neighbours."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from mistralrs_cli.engine.sampling.batch import Draw, Sampled, draw_from_all, sample
from mistralrs_cli.engine.sampling.largest import BLOCK, argmax, block_maxima, topk
from mistralrs_cli.engine.sampling.params import SamplingParams
from mistralrs_cli.engine.sampling.processors import penalties
from mistralrs_cli.engine.sampling.sampler import SequenceSampler
from mistralrs_cli.errors import GenerationError, OptionError

pytestmark = pytest.mark.slow

PROMPT = [1, 2, 2, 9]
ANSWER = [3, 3, 3, 5]
DRAWS = 1500
SETTINGS = [
    SamplingParams(1.0),
    SamplingParams(0.6),
    SamplingParams(1.7),
    SamplingParams(1.0, top_k=3),
    SamplingParams(1.0, top_p=0.7),
    SamplingParams(1.0, min_p=0.2),
    SamplingParams(1.0, repetition_penalty=1.5),
    SamplingParams(1.0, frequency_penalty=0.4),
    SamplingParams(1.0, presence_penalty=0.9),
    SamplingParams(1.0, logit_bias=((4, 2.0), (0, -100.0))),
    SamplingParams(0.8, 6, 0.9),
    SamplingParams(1.3, 8, 0.95, 0.1),
    SamplingParams(0.9, 0, 0.8, 0.05, 1.2, 0.3, -0.5, ((7, 1.5), (2, -100.0))),
]


class Fixed(SequenceSampler):
    """Takes its random numbers from a list."""

    def __init__(self, params: SamplingParams, numbers: Sequence[float]) -> None:
        super().__init__(params)
        self.numbers = list(numbers)

    def uniform(self) -> float:
        return self.numbers.pop(0)


def sampler(params: SamplingParams, vocabulary: int) -> SequenceSampler:
    made = SequenceSampler(params, penalties(params, PROMPT, vocabulary))
    for token in ANSWER:
        made.accept(token)
    return made


def tokens(logits: torch.Tensor, samplers: Sequence[SequenceSampler]) -> list[int]:
    found = sample(logits, samplers)
    assert all(isinstance(one, Sampled) for one in found)
    return [one.token for one in found if isinstance(one, Sampled)]


def probabilities(logits: np.ndarray, params: SamplingParams) -> np.ndarray:
    """The formulas, float64, after ``PROMPT`` and ``ANSWER``."""
    scores = logits.astype(np.float64)
    for token in {*PROMPT, *ANSWER}:
        factor = params.repetition_penalty
        scores[token] = scores[token] / factor if scores[token] > 0 else scores[token] * factor
    for token, bias in params.logit_bias:
        scores[token] += -math.inf if bias <= -100 else bias
    for token in set(ANSWER):
        scores[token] -= params.frequency_penalty * ANSWER.count(token) + params.presence_penalty
    scores /= params.temperature
    order = np.argsort(-scores)
    if params.top_k:
        scores[order[params.top_k :]] = -math.inf
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    before = np.cumsum(chances[order]) - chances[order]
    chances[order[before >= params.top_p]] = 0
    chances[chances < params.min_p * chances.max()] = 0
    normalized: np.ndarray = chances / chances.sum()
    return normalized


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_draws_follow_the_formulas(params: SamplingParams) -> None:
    """Chi-square: 1,500 seeds, a token each. Nothing impossible, and within five standard deviations of the rest."""
    logits = torch.randn(12, generator=torch.Generator().manual_seed(5)) * 2
    rows = [sampler(replace(params, seed=seed), 12) for seed in range(DRAWS)]
    counts = np.bincount(tokens(logits.expand(DRAWS, -1).contiguous(), rows), minlength=12)
    expected = probabilities(logits.numpy(), params) * DRAWS
    assert not counts[expected == 0].any()
    likely = expected >= 5
    observed = np.append(counts[likely], counts[~likely].sum())
    wanted = np.append(expected[likely], max(expected[~likely].sum(), 1e-9))
    if wanted[-1] < 5:
        observed, wanted = observed[:-1], wanted[:-1]
    freedom = max(len(wanted) - 1, 1)
    assert ((observed - wanted) ** 2 / wanted).sum() < freedom + 5 * math.sqrt(2 * freedom)


def test_one_seed_draws_like_many() -> None:
    logits = torch.randn(1, 12, generator=torch.Generator().manual_seed(5)) * 2
    one = SequenceSampler(SamplingParams(1.0, 8, seed=3))
    counts = np.bincount([tokens(logits, [one])[0] for _ in range(600)], minlength=12)
    row = SamplingParams(1.0, 8)
    scores = logits[0].double().numpy()
    scores[np.argsort(-scores)[row.top_k :]] = -math.inf
    expected = np.exp(scores) / np.exp(scores).sum() * 600
    kept = expected > 0
    assert not counts[~kept].any()
    assert ((counts - expected)[kept] ** 2 / expected[kept]).sum() < 7 + 5 * math.sqrt(14)


def kept(logits: torch.Tensor, params: SamplingParams) -> set[int]:
    """What transformers' warpers leave."""
    scores: Any = logits[None] / params.temperature
    ids: Any = torch.zeros(1, 1, dtype=torch.long)
    if params.top_k:
        scores = TopKLogitsWarper(params.top_k)(ids, scores)
    if params.top_p < 1:
        scores = TopPLogitsWarper(params.top_p)(ids, scores)
    if params.min_p:
        scores = MinPLogitsWarper(params.min_p)(ids, scores)
    return set(scores[0].isfinite().nonzero().flatten().tolist())


@pytest.mark.parametrize("vocabulary", [5, BLOCK, 300, 9000])
@pytest.mark.parametrize("ties", [False, True])
def test_what_is_kept_is_what_transformers_keeps(vocabulary: int, ties: bool) -> None:
    """The same tokens; with equal logits as many of each value, since its sort leaves their order open."""
    dice = np.random.default_rng(vocabulary)
    for _ in range(25):
        logits = torch.from_numpy(dice.normal(size=vocabulary).astype(np.float32)) * float(dice.choice([0.5, 2.0, 5.0]))
        if ties:
            logits = logits.bfloat16().float()
        params = SamplingParams(
            float(dice.choice([0.5, 1.0, 1.5])),
            int(dice.choice([0, 1, 7, 50, 400])),
            float(dice.choice([0.0, 0.3, 0.9, 1.0])),
            float(dice.choice([0.0, 0.1, 1.0])),
        )
        wanted = kept(logits, params)
        chances = (logits / params.temperature).double().exp()
        chances = torch.where(torch.isin(torch.arange(vocabulary), torch.tensor(sorted(wanted))), chances, 0)
        sums = torch.cat([torch.zeros(1, dtype=torch.float64), chances.cumsum(-1)]) / chances.sum()
        middles = ((sums[1:] + sums[:-1]) / 2)[sorted(wanted)].tolist()[:200]
        found = tokens(logits.expand(len(middles), -1).contiguous(), [Fixed(params, [middle]) for middle in middles])
        if ties:
            assert {float(logits[token]) for token in found} <= {float(logits[token]) for token in wanted}
        else:
            assert found == sorted(wanted)[:200]


def test_a_token_depends_neither_on_neighbours_nor_on_the_way_it_is_found() -> None:
    dice = np.random.default_rng(1)
    for vocabulary in (40, 3000, 20011):
        logits = torch.from_numpy(dice.normal(size=(13, vocabulary)).astype(np.float32) * 3).bfloat16().float()
        params = [
            SamplingParams(
                float(dice.choice([0.0, 0.4, 1.0, 1.6])),
                int(dice.choice([0, 1, 20, 5000])),
                float(dice.choice([0.2, 0.95, 1.0])),
                float(dice.choice([0.0, 0.05])),
                seed=seed,
            )
            for seed in range(13)
        ]
        together = tokens(logits, [SequenceSampler(one) for one in params])
        for row, one in enumerate(params):
            assert tokens(logits[row : row + 1], [SequenceSampler(one)]) == together[row : row + 1]
            if not one.greedy:
                top_k = one.top_k if one.top_k < vocabulary else 0
                draw = Draw(row, SequenceSampler(one).uniform(), one.temperature, top_k, one.top_p, one.min_p)
                assert int(draw_from_all(logits[row], draw)) == together[row]


@pytest.mark.parametrize("vocabulary", [3, BLOCK, 5 * BLOCK + 1, 9000])
def test_the_largest_are_found_by_blocks(vocabulary: int) -> None:
    logits = torch.randn(4, vocabulary, generator=torch.Generator().manual_seed(0)).mul(4).round()
    logits[3] = -torch.inf
    maxima = block_maxima(logits)
    values, found = argmax(logits, maxima)
    assert found.tolist() == logits.argmax(-1).tolist()
    assert values.tolist() == logits.amax(-1).tolist()
    values, found = topk(logits, maxima, torch.tensor([2, 0]), 3)
    assert values.tolist() == logits[[2, 0]].topk(3).values.tolist()
    assert logits[[2, 0]].gather(-1, found).tolist() == values.tolist()


def test_penalties_are_those_of_transformers() -> None:
    logits = torch.randn(64, generator=torch.Generator().manual_seed(1))
    (penalty,) = penalties(SamplingParams(0.0, repetition_penalty=1.3), [3, 3, 7, 900], 64)
    penalty.apply(ours := logits.clone())
    ids = torch.tensor([[3, 3, 7, 900]])
    assert torch.equal(ours, RepetitionPenaltyLogitsProcessor(1.3)(ids, logits[None].clone())[0])
    penalty.accept(11)
    penalty.apply(ours := logits.clone())
    ids = torch.tensor([[3, 3, 7, 900, 11]])
    assert torch.equal(ours, RepetitionPenaltyLogitsProcessor(1.3)(ids, logits[None].clone())[0])


class Broken:
    """A processor that fails."""

    def apply(self, logits: torch.Tensor) -> None:
        raise RuntimeError("broken")

    def accept(self, token: int) -> None:
        raise AssertionError


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_sequence_fails_alone(temperature: float) -> None:
    logits = torch.randn(5, 300, generator=torch.Generator().manual_seed(2))
    logits[1, 7] = torch.nan
    params = SamplingParams(temperature, 20, seed=1)
    banned = replace(params, logit_bias=tuple((token, -100.0) for token in range(300)))
    samplers = [SequenceSampler(params) for _ in range(5)]
    samplers[2] = SequenceSampler(params, [Broken()])
    samplers[3] = SequenceSampler(banned, penalties(banned, [], 300))
    results = sample(logits, samplers)
    assert isinstance(results[1], GenerationError)
    assert isinstance(results[2], RuntimeError)
    assert isinstance(results[3], OptionError)
    for row in (0, 4):
        assert results[row] == sample(logits[row : row + 1], [SequenceSampler(params)])[0]


def test_the_host_asks_for_nothing_but_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU would be waited for at each of these; a step of many sequences has one."""
    asked: list[str] = []
    for name in ("item", "tolist", "__bool__", "__int__", "__float__", "__index__", "nonzero"):

        def counted(
            self: torch.Tensor, *rest: object, name: str = name, real: object = getattr(torch.Tensor, name)
        ) -> object:
            asked.append(name)
            return real(self, *rest)  # type: ignore[operator]

        monkeypatch.setattr(torch.Tensor, name, counted)
    logits = torch.randn(6, 9000, generator=torch.Generator().manual_seed(3)) * 8
    bias = SamplingParams(0.8, 20, 0.9, logit_bias=((3, 1.0),), repetition_penalty=1.1, frequency_penalty=0.2, seed=1)
    rows = [SamplingParams(0.0), bias, SamplingParams(0.7, 40, 0.95, 0.05), SamplingParams(1.0), bias, bias]
    samplers = [Fixed(params, [0.3]) for params in rows]
    for one in samplers:
        one.processors = penalties(one.params, PROMPT, 9000)
        for processor in one.processors:
            processor.accept(4)
    sample(logits, samplers)
    assert asked == ["tolist"]
