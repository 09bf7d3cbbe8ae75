"""Rows that decode together answer exactly as they do alone, and as transformers' own loop does."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from transformers import DynamicCache, LogitsProcessorList

from mistralrs_cli.engine.kv.layers import joinable
from mistralrs_cli.engine.runner.prefill import prefill
from mistralrs_cli.engine.sequence import SequenceState
from mistralrs_cli.families import Prepared
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Text
from tests.checkpoints.media import clip, picture, sound
from tests.engine.batches import Batch

Tiny = Callable[[str], LoadedModel]
CACHES = ["llama", "llava", "gemma4", "qwen3_vl", "qwen3_5"]  # one of each kind; all families: tests/families
SAMPLED = {"do_sample": True, "temperature": 0.9, "top_k": 30, "top_p": 0.95}
PENALISED = {"do_sample": True, "temperature": 1.2, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.2}
WORDS = ["what", "is", "in", "this", "picture", "and", "what", "is", "the", "colour", "of", "the", "second", "one"]


@dataclass
class Case:
    """A request and when it arrives; what it answers alone is what it must answer joined."""

    prepared: Prepared
    arguments: dict[str, object]
    seed: int
    arrival: int
    tokens: int
    answer: list[int] = field(default_factory=list)


def prepare(loaded: LoadedModel, media: list[DecodedMedia], words: int) -> Prepared:
    text = Text(" ".join(WORDS[index % len(WORDS)] for index in range(words)))
    return loaded.family.prepare(loaded.processor, [Message("user", (*media, text))])


def media_mixes(loaded: LoadedModel) -> list[list[DecodedMedia]]:
    """No media, one of each kind, two pictures of different sizes, and everything at once."""
    makers = {"image": picture, "audio": sound, "video": clip}
    kinds = [kind for kind in makers if kind in loaded.family.modalities]
    mixes: list[list[DecodedMedia]] = [[], *([makers[kind]()] for kind in kinds)]
    if "image" in kinds:
        mixes.append([picture(1, 96, 64), picture(2, 40, 72)])
    return [*mixes, [makers[kind](3) for kind in kinds]] if kinds else mixes


def begin(loaded: LoadedModel, case: Case) -> SequenceState:
    generator = torch.Generator().manual_seed(case.seed) if case.arguments["do_sample"] else None
    arguments = {**case.arguments, "max_new_tokens": case.tokens}
    row, logits = prefill(loaded.model, case.prepared.inputs, arguments, LogitsProcessorList(), generator)
    row.draw(logits)
    return row


def answer(row: SequenceState) -> list[int]:
    return row.ids[0, row.prompt_tokens :].tolist()


@torch.inference_mode()
def alone(loaded: LoadedModel, case: Case) -> list[int]:
    row, batch = begin(loaded, case), Batch(loaded)
    batch.add(row)
    while len(answer(row)) < case.tokens:
        row.draw(batch.step())
    return answer(row)


@torch.inference_mode()
def together(loaded: LoadedModel, cases: list[Case]) -> int:
    """Decode the cases jointly as they arrive; fills in the answers and returns the most rows at once."""
    batch, running, time, most = Batch(loaded), [], 0, 0
    waiting = sorted(cases, key=lambda case: case.arrival)
    while waiting or running:
        while waiting and waiting[0].arrival <= time:
            case = waiting.pop(0)
            running.append((case, begin(loaded, case)))
            batch.add(running[-1][1])
        most = max(most, len(running))
        if running:
            logits = batch.step()
            for index, (_, row) in enumerate(running):
                row.draw(logits[index : index + 1])
        time += 1
        leaving = {index for index, (case, row) in enumerate(running) if len(answer(row)) >= case.tokens}
        for index in leaving:
            running[index][0].answer = answer(running[index][1])
        if leaving:
            batch.remove(leaving)
            running = [pair for index, pair in enumerate(running) if index not in leaving]
    return most


@pytest.mark.parametrize("name", CACHES)
def test_alone_equals_generate(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    for mix in media_mixes(loaded):
        prepared = prepare(loaded, mix, 9)
        expected = loaded.model.generate(
            **prepared.inputs, do_sample=False, max_new_tokens=16, min_new_tokens=16, eos_token_id=None
        )[0, prepared.prompt_tokens :].tolist()
        case = Case(prepared, {"do_sample": False, "eos_token_id": None}, 0, 0, 16)
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
            arguments=dice.choice([{"do_sample": False}, SAMPLED, PENALISED]),
            seed=index,
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
