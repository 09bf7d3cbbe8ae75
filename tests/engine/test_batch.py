"""Rows that decode together answer exactly as they do alone, and as transformers' own loop does."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from transformers import DynamicCache

from mistralrs_cli.engine.kv.layers import joinable
from mistralrs_cli.engine.runner.prefill import prefill
from mistralrs_cli.engine.sampling.batch import Sampled, sample
from mistralrs_cli.engine.sampling.params import SamplingParams
from mistralrs_cli.engine.sampling.processors import penalties
from mistralrs_cli.engine.sampling.sampler import SequenceSampler
from mistralrs_cli.engine.sequence import SequenceState
from mistralrs_cli.families import Prepared
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Modality, Text
from tests.checkpoints.media import clip, picture, sound
from tests.engine.batches import Batch

Tiny = Callable[[str], LoadedModel]
CACHES = ["llama", "llava", "gemma4", "qwen3_vl", "qwen3_5"]  # one of each kind; all families: tests/families
GREEDY = SamplingParams(0.0)
SAMPLED = SamplingParams(0.9, 30, 0.95)
PENALISED = SamplingParams(1.2, repetition_penalty=1.2)
WORDS = ["what", "is", "in", "this", "picture", "and", "what", "is", "the", "colour", "of", "the", "second", "one"]


@dataclass
class Case:
    """A request and when it arrives; what it answers alone is what it must answer joined."""

    prepared: Prepared
    params: SamplingParams
    arrival: int
    tokens: int
    answer: list[int] = field(default_factory=list)


def prepare(loaded: LoadedModel, media: list[DecodedMedia], words: int) -> Prepared:
    text = Text(" ".join(WORDS[index % len(WORDS)] for index in range(words)))
    return loaded.family.prepare(loaded.processor, [Message("user", (*media, text))])


def media_mixes(loaded: LoadedModel) -> list[list[DecodedMedia]]:
    """No media, one of each kind, two pictures of different sizes, and everything at once."""
    makers: dict[Modality, Callable[..., DecodedMedia]] = {"image": picture, "audio": sound, "video": clip}
    kinds = [kind for kind in makers if kind in loaded.family.modalities]
    mixes: list[list[DecodedMedia]] = [[], *([makers[kind]()] for kind in kinds)]
    if "image" in kinds:
        mixes.append([picture(1, 96, 64), picture(2, 40, 72)])
    return [*mixes, [makers[kind](3) for kind in kinds]] if kinds else mixes


def begin(loaded: LoadedModel, case: Case) -> tuple[SequenceState, SequenceSampler]:
    row, logits = prefill(loaded.model, case.prepared.inputs)
    sampler = SequenceSampler(case.params, penalties(case.params, row.ids[0].tolist(), logits.shape[-1]))
    append([row], [sampler], logits)
    return row, sampler


def append(rows: list[SequenceState], samplers: list[SequenceSampler], logits: torch.Tensor) -> None:
    for row, sampled in zip(rows, sample(logits, samplers), strict=True):
        assert isinstance(sampled, Sampled)
        row.append(sampled.token)


def answer(row: SequenceState) -> list[int]:
    return row.ids[0, row.prompt_tokens :].tolist()


@torch.inference_mode()
def alone(loaded: LoadedModel, case: Case) -> list[int]:
    (row, sampler), batch = begin(loaded, case), Batch(loaded)
    batch.add(row)
    while len(answer(row)) < case.tokens:
        append([row], [sampler], batch.step())
    return answer(row)


@torch.inference_mode()
def together(loaded: LoadedModel, cases: list[Case]) -> int:
    """Decode the cases jointly as they arrive; fills in the answers and returns the most rows at once."""
    batch, time, most = Batch(loaded), 0, 0
    running: list[tuple[Case, SequenceState, SequenceSampler]] = []
    waiting = sorted(cases, key=lambda case: case.arrival)
    while waiting or running:
        while waiting and waiting[0].arrival <= time:
            case = waiting.pop(0)
            running.append((case, *begin(loaded, case)))
            batch.add(running[-1][1])
        most = max(most, len(running))
        if running:
            append([row for _, row, _ in running], [sampler for *_, sampler in running], batch.step())
        time += 1
        leaving = {index for index, (case, row, _) in enumerate(running) if len(answer(row)) >= case.tokens}
        for index in leaving:
            running[index][0].answer = answer(running[index][1])
        if leaving:
            batch.remove(leaving)
            running = [entry for index, entry in enumerate(running) if index not in leaving]
    return most


@pytest.mark.parametrize("name", CACHES)
def test_alone_equals_generate(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    for mix in media_mixes(loaded):
        prepared = prepare(loaded, mix, 9)
        expected = loaded.model.generate(
            **prepared.inputs, do_sample=False, max_new_tokens=16, min_new_tokens=16, eos_token_id=None
        )[0, prepared.prompt_tokens :].tolist()
        case = Case(prepared, GREEDY, 0, 16)
        assert alone(loaded, case) == expected
        assert len(set(expected)) > 3, "a constant answer proves nothing"


@pytest.mark.parametrize("name", CACHES)
@pytest.mark.parametrize("seed", [0, 1])
def test_joined_equals_alone(tiny: Tiny, name: str, seed: int) -> None:
    """Ragged prompts, different media, greedy and sampled, late arrivals, early leavers."""
    loaded, dice = tiny(name), random.Random(seed)
    mixes = media_mixes(loaded)
    cases = [
        Case(
            prepared=prepare(loaded, mixes[index % len(mixes)], dice.randint(1, 40)),
            params=replace(dice.choice([GREEDY, SAMPLED, PENALISED]), seed=index),
            arrival=dice.randint(0, 10),
            tokens=dice.randint(3, 24),
        )
        for index in range(7)
    ]
    most = together(loaded, cases)
    assert most >= 3
    for case in cases:
        assert case.answer == alone(loaded, case)


def test_a_cache_with_states_of_its_own_is_not_joined() -> None:
    """As MiniMax's, whose linear attention keeps its states beside the layers."""

    class OwnCache(DynamicCache):
        pass

    assert joinable(DynamicCache())
    assert not joinable(OwnCache())
