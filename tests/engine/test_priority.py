"""Requests of priority ``batch`` give way to interactive ones, get a share beside them, and answer as they do alone."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.batch_share import SHARE, BatchShare
from mistralrs_cli.engine.group import DecodeGroup
from mistralrs_cli.engine.kv.base import KVCache
from mistralrs_cli.engine.runner.model_runner import ModelRunner
from mistralrs_cli.engine.sequence import SequenceState
from mistralrs_cli.engine.stream import EventStream
from mistralrs_cli.events import Done, Event, Reply, TextDelta, collect
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Modality, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import picture
from tests.engine.test_engine import user

Tiny = Callable[[str], LoadedModel]
GREEDY = Sampling(max_tokens=24, temperature=0.0, ignore_eos=True)
DRAWN = Sampling(max_tokens=24, temperature=1.1, seed=5, repetition_penalty=1.2, ignore_eos=True)
BRIEF = Sampling(max_tokens=3, temperature=0.0, ignore_eos=True)


def batch(sampling: Sampling) -> Sampling:
    return replace(sampling, priority="batch")


def question(loaded: LoadedModel, seed: int) -> list[Message]:
    kinds: frozenset[Modality] = frozenset(loaded.family.modalities)
    media: tuple[DecodedMedia, ...] = (picture(seed),) if "image" in kinds else ()
    return [Message("user", (*media, Text(f"what is in picture {seed}?")))]


def first_events(stream: EventStream, count: int = 3) -> list[Event]:
    """The first so many pieces of an answer."""
    events: list[Event] = []
    while sum(isinstance(event, TextDelta) for event in events) < count:
        events.append(next(stream))
    return events


def nothing_fits(lengths: Sequence[int]) -> int:
    """The memory of rows where each alone takes all."""
    return 1 << 50


class Held:
    """Batches stop before a step, once ``rows`` of them have three tokens, until ``go`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        step = DecodeGroup.step

        def held(group: DecodeGroup) -> None:
            if group.batch and len(group.answers) == rows and min(answer.tokens for answer in group.answers) >= 3:
                self.reached.set()
                assert self.go.wait(60)
            step(group)

        monkeypatch.setattr(DecodeGroup, "step", held)


class Preempted:
    """Counts preemptions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        preempt = DecodeGroup.preempt

        def counted(group: DecodeGroup, index: int) -> object:
            self.count += 1
            return preempt(group, index)

        monkeypatch.setattr(DecodeGroup, "preempt", counted)


@pytest.mark.parametrize("name", ["llama", "gemma4", "qwen3_vl", "qwen3_5"])
def test_a_preempted_answer_is_the_one_it_is_alone(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Its cache is given up halfway; the prompt is run again, with its media, and its tokens are not drawn twice."""
    loaded = tiny(name)
    preempted = Preempted(monkeypatch)
    with Engine(loaded, max_rows=4, prefixes=2) as engine:
        samplings = [GREEDY, DRAWN]
        alone = [engine.generate(question(loaded, 1), sampling).text for sampling in samplings]
        interactive = engine.generate(question(loaded, 2), BRIEF).text
        engine.prefixes.clear()
        held = Held(monkeypatch, rows=2)
        streams = [engine.stream(question(loaded, 1), batch(sampling)) for sampling in samplings]
        assert held.reached.wait(60)
        footprint, engine.budget.footprint = engine.budget.footprint, nothing_fits
        with engine.stream(question(loaded, 2), BRIEF) as stream:
            held.go.set()
            reply = collect(stream)
        assert preempted.count == 2
        engine.budget.footprint = footprint
        found = [collect(stream) for stream in streams]
    assert reply.text == interactive
    assert [reply.text for reply in found] == alone
    assert [reply.usage.completion_tokens for reply in found] == [24, 24]


def test_an_interactive_request_comes_before_batches_and_takes_no_row_of_theirs(tiny: Tiny) -> None:
    """All rows are taken and more batches wait; it is answered while none of those that wait has begun."""
    with Engine(tiny("llama"), max_rows=2) as engine:
        long = batch(replace(GREEDY, max_tokens=1500))
        streams = [engine.stream(user("write a lot"), long) for _ in range(5)]
        first_events(streams[1], 1)
        reply = engine.generate(user("hello"), BRIEF)
        assert reply.usage.completion_tokens == 3
        assert engine.waiting == 3
        for stream in streams:
            stream.close()


def test_a_batch_goes_on_beside_interactive_answers_that_never_end(tiny: Tiny) -> None:
    """It has a share of the time, so it ends some time; and what it says is what it says alone."""
    with Engine(tiny("llama"), max_rows=3) as engine:
        alone = engine.generate(user("hello"), BRIEF).text
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                engine.generate(user("again and again"), replace(GREEDY, max_tokens=100))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            found: Reply = engine.generate(user("hello"), batch(BRIEF))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert found.text == alone


def test_interactive_answers_take_the_memory_of_batches_before_they_fail(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that is out of memory is done again once the batches have given up theirs."""
    loaded = tiny("llama")
    preempted = Preempted(monkeypatch)
    with Engine(loaded, max_rows=4) as engine:
        alone = engine.generate(user("one"), GREEDY).text
        held = Held(monkeypatch, rows=1)
        stream = engine.stream(user("one"), batch(GREEDY))
        assert held.reached.wait(60)
        decode = ModelRunner.decode

        def exhausted(runner: ModelRunner, cache: KVCache, sequences: list[SequenceState], adapter: None) -> object:
            if not preempted.count and sequences[0].prompt_tokens == long:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return decode(runner, cache, sequences, adapter)

        monkeypatch.setattr(ModelRunner, "decode", exhausted)
        with engine.stream(user("two and some more words"), BRIEF) as interactive:
            long = interactive.prompt_tokens
            held.go.set()
            done = [event for event in interactive if isinstance(event, Done)]
        assert [event.reason for event in done] == ["length"]
        assert preempted.count == 1
        assert collect(stream).text == alone


def test_a_preempted_answer_can_be_cancelled(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits to be prefilled again; what waits behind it goes on."""
    with Engine(tiny("llama"), max_rows=1) as engine:
        stream = engine.stream(user("one"), batch(GREEDY))
        first_events(stream, 1)
        footprint, engine.budget.footprint = engine.budget.footprint, nothing_fits
        with engine.stream(user("two"), replace(GREEDY, max_tokens=1500)) as interactive:
            first_events(interactive, 1)
            stream.close()
        engine.budget.footprint = footprint
        assert engine.generate(user("three"), batch(BRIEF)).usage.completion_tokens == 3


def test_the_share_of_batches() -> None:
    """One part in ten of the time, however long a step takes."""
    share = BatchShare()
    spent = {True: 0.0, False: 0.0}
    for _ in range(1000):
        seconds = 0.3 if share.due else 0.05
        share.spent(seconds, batch=share.due)
        spent[seconds == 0.3] += seconds
    assert spent[True] / sum(spent.values()) == pytest.approx(SHARE, abs=0.01)
