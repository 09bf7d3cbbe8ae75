"""Prompts in chunks: others go on meanwhile, and every answer is the one it is alone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.chunk_size import FIRST, LEAST, SECONDS, STEPS, ChunkSize
from mistralrs_cli.engine.group import DecodeGroup
from mistralrs_cli.engine.runner.chunks import Chunks, chunks_of, merged, runs
from mistralrs_cli.engine.runner.prefill import Prefill
from mistralrs_cli.errors import GenerationError
from mistralrs_cli.events import PromptLogprobs, TextDelta, collect
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Message, Modality, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import picture

Tiny = Callable[[str], LoadedModel]
RUNS = Sampling(max_tokens=300, temperature=0.0, ignore_eos=True)
BRIEF = Sampling(max_tokens=5, temperature=0.8, seed=4, ignore_eos=True)
LONG = "so many words that nobody wants to wait for all of them at once " * 3


def user(*parts: Any) -> list[Message]:
    return [Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Chunks of 16 tokens. What is done, in order: ``prompt``, ``chunk``, ``token``."""
    done: list[str] = []
    advance, step = Prefill.advance, DecodeGroup.step

    def counted(self: Prefill, tokens: int | None = None) -> Any:
        done.append("prompt" if tokens is None else "chunk")
        return advance(self, tokens)

    def stepped(self: DecodeGroup) -> None:
        done.append("token")
        step(self)

    monkeypatch.setattr(Prefill, "advance", counted)
    monkeypatch.setattr(DecodeGroup, "step", stepped)
    monkeypatch.setattr(ChunkSize, "tokens", 16)
    return done


class Running:
    """An answer that runs, and what it is alone."""

    def __init__(self, engine: Engine) -> None:
        self.alone = engine.generate(user("what runs"), RUNS).text
        self.stream = engine.stream(user("what runs"), RUNS)
        self.begun = "".join(event.text for _, event in zip(range(2), texts(self.stream), strict=False))

    def end(self) -> str:
        return self.begun + collect(self.stream).text


def texts(stream: Iterator[Any]) -> Iterator[TextDelta]:
    return (event for event in stream if isinstance(event, TextDelta))


@pytest.mark.parametrize("name", ["llama", "gemma4", "qwen3_vl", "qwen3_5"])
def test_a_prompt_in_chunks_stops_nobody_and_changes_nothing(name: str, tiny: Tiny, small: list[str]) -> None:
    loaded = tiny(name)
    media = (picture(1), "and", picture(2, 96, 64)) if loaded.family.modalities else ()
    question = user(LONG, *media, "what")
    more = [*question, Message("assistant", (Text("yes"),)), *user("and")]
    with Engine(loaded, prefixes=4) as engine:
        alone, after = engine.generate(question, BRIEF), engine.generate(more, BRIEF)
        assert "chunk" not in small, "nobody had to wait"
        engine.prefixes.clear()
        running = Running(engine)
        small.clear()
        beside = engine.generate(question, BRIEF)
        assert beside.text == alone.text
        assert small.count("chunk") > 3
        first, last = small.index("chunk"), len(small) - small[::-1].index("chunk")
        assert "prompt" not in small
        assert all(pair != ("chunk", "chunk") for pair in zip(small[first:last], small[first + 1 : last], strict=False))
        again = engine.generate(more, BRIEF)
        assert again.usage.cached_tokens > alone.usage.prompt_tokens // 2, "kept as any other"
        assert again.text == after.text
        assert running.end() == running.alone


def test_a_prompt_is_left_between_its_chunks(tiny: Tiny, small: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine(tiny("llama")) as engine:
        running = Running(engine)
        stream = engine.stream(user(LONG), BRIEF)
        step = DecodeGroup.step

        def stepped(self: DecodeGroup) -> None:
            step(self)
            if small.count("chunk") == 2:
                stream.close()

        monkeypatch.setattr(DecodeGroup, "step", stepped)
        assert running.end() == running.alone
        assert small.count("chunk") == 2
        assert engine.generate(user("more"), BRIEF).usage.completion_tokens == 5


@pytest.mark.parametrize(("message", "chunks"), [("shape mismatch", 2), ("can't allocate memory", 2 + 12)])
def test_a_chunk_that_fails_fails_alone_or_is_done_again_with_more_memory(
    message: str, chunks: int, tiny: Tiny, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(tiny("llama"), prefixes=4) as engine:
        alone = engine.generate(user(LONG), BRIEF).text
        engine.prefixes.clear()
        running = Running(engine)
        small.clear()
        of = Chunks.of

        def failing(self: Chunks, start: int, end: int) -> Any:
            if small.count("chunk") == 2:
                raise RuntimeError(message)
            return of(self, start, end)

        monkeypatch.setattr(Chunks, "of", failing)
        if "memory" in message:
            assert engine.generate(user(LONG), BRIEF).text == alone
            assert small.count("chunk") > chunks
        else:
            with pytest.raises(GenerationError, match=message):
                engine.generate(user(LONG), BRIEF)
            assert small.count("chunk") == chunks
        assert running.end() == running.alone


def test_the_prompts_own_logprobs_want_it_whole(tiny: Tiny, small: list[str]) -> None:
    told = Sampling(max_tokens=1, temperature=0.0, logprobs=0, echo=True)
    with Engine(tiny("llama")) as engine:
        ids = engine.encode(LONG)
        alone = list(engine.continue_text(ids, told))
        running = Running(engine)
        beside = list(engine.continue_text(ids, told))
        assert [event for event in beside if isinstance(event, PromptLogprobs)] == [
            event for event in alone if isinstance(event, PromptLogprobs)
        ]
        assert running.end() == running.alone


@pytest.mark.parametrize("name", ["gemma4", "qwen3_vl", "idefics3"])
def test_encoders_let_others_go_on(name: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token after every call of an encoder, which takes one picture at a time."""
    loaded = tiny(name)
    question = user(*(picture(seed) for seed in range(4)), "which")
    with Engine(loaded, prefixes=4) as engine:
        alone = engine.generate(question, BRIEF).text
        engine.prefixes.clear()
        engine.encoded.clear()
        monkeypatch.setattr(ChunkSize, "seconds", 0.0)
        monkeypatch.setattr("mistralrs_cli.engine.runner.cancellation.INTERVAL", 0.0)
        running, inside = Running(engine), []
        step = DecodeGroup.step

        def stepped(self: DecodeGroup) -> None:
            inside.append(engine._scheduler._encoding)
            step(self)

        monkeypatch.setattr(DecodeGroup, "step", stepped)
        assert engine.generate(question, BRIEF).text == alone
        assert inside.count(True) > 4
        assert running.end() == running.alone


def test_a_chunk_takes_half_a_second_or_twelve_steps() -> None:
    size = ChunkSize()
    assert size.tokens == FIRST
    size.prefilled(4000, 2.0)
    assert size.tokens == int(2000 * SECONDS)
    size.prefilled(LEAST - 1, 60.0)
    assert size.tokens == int(2000 * SECONDS)
    size.decoded(0.1)
    assert size.tokens == int(2000 * 0.1 * STEPS)
    size.prefilled(1000, 1000.0)
    size.prefilled(1000, 1000.0)
    size.prefilled(1000, 1000.0)
    assert LEAST < size.tokens < 2000 * 0.1 * STEPS / 4
    for _ in range(20):
        size.prefilled(1000, 1000.0)
    assert size.tokens == LEAST


def test_no_chunk_ends_inside_a_medium() -> None:
    ids = torch.tensor([[1, 1, 9, 9, 9, 1, 9, 9, 1, 1]])
    arguments = {"position_ids": torch.arange(10)[None], "pixels": "all", "use_cache": True}
    placeholders: dict[Modality, set[int]] = {"image": {9}}
    chunks = chunks_of(ids, 0, arguments, placeholders, divisible=False)
    assert chunks is not None
    assert [chunks.end(start, 3) for start in (0, 1, 2, 8, 9)] == [2, 2, 8, 10, 10]
    assert "pixels" not in chunks.of(0, 2)
    assert chunks.of(2, 8)["pixels"] == "all"
    assert "pixels" not in chunks.of(8, 10)
    assert list(runs([2, 3, 4, 6, 7])) == [(2, 5), (6, 8)]
    assert merged([(6, 8), (2, 5), (3, 6)]) == [(2, 6), (6, 8)]
