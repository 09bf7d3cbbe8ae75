"""Where memory runs out, as few requests as possible fail, and the others' answers are those they get alone."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch

from mistralrs_cli.engine import Engine, EventStream
from mistralrs_cli.engine.kv import joined
from mistralrs_cli.engine.kv.joined import JoinedCache
from mistralrs_cli.engine.kv.layers import join as real_join
from mistralrs_cli.engine.kv.preallocated import PreallocatedLayer
from mistralrs_cli.engine.runner import model_runner
from mistralrs_cli.engine.runner.prefill import begin as real_begin
from mistralrs_cli.errors import OutOfMemory
from mistralrs_cli.events import Reply, collect
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import picture

Tiny = Callable[[str], LoadedModel]
WORDS = "nothing at all to be said about any of it "
LENGTHS = (6, 1, 4, 2)  # of the prompts, in these words
DRAWN = [
    Sampling(max_tokens=30, temperature=0.0, ignore_eos=True, logprobs=0),
    Sampling(max_tokens=30, temperature=0.9, seed=5, repetition_penalty=1.2, ignore_eos=True, logprobs=0),
]


def question(length: int, *media: Any) -> list[Message]:
    return [Message("user", (*media, Text(WORDS * length)))]


def kind(module: torch.nn.Module) -> str:
    return type(module).__name__


@contextmanager
def memory_for(loaded: LoadedModel, rows: int, times: int = 1 << 30) -> Iterator[None]:
    """The decoder's last layer finds no memory for more rows than these; those before it have done their part."""
    left = times
    layers = [module for module in loaded.model.modules() if kind(module).endswith("DecoderLayer")]
    last = next(layer for layer in reversed(layers) if "Cross" not in kind(layer))  # those are passed by without media

    def check(module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal left
        states = arguments[0] if arguments else named["hidden_states"]
        if states.shape[-3] > rows and left:
            left -= 1
            raise RuntimeError("you tried to allocate 1 GiB: can't allocate memory")

    hook = last.register_forward_pre_hook(check, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def together(
    engine: Engine, questions: list[list[Message]], drawn: Sequence[Sampling] = DRAWN * 2
) -> list[Reply | OutOfMemory]:
    """The answers to all questions, which are there before the first of them is begun."""
    gate = threading.Event()
    begin = engine._scheduler._admit

    def admit() -> None:
        gate.wait(60)
        begin()

    engine._scheduler._admit = admit  # type: ignore[method-assign]
    streams = [engine.stream(asked, drawn[index]) for index, asked in enumerate(questions)]
    gate.set()
    return [outcome(stream) for stream in streams]


def outcome(stream: EventStream) -> Reply | OutOfMemory:
    try:
        return collect(stream)
    except OutOfMemory as error:
        return error


def same(answer: Reply | OutOfMemory, alone: Reply) -> bool:
    assert isinstance(answer, Reply)
    chances = [[token.chosen.logprob for token in reply.logprobs] for reply in (answer, alone)]
    return answer.text == alone.text and chances[0] == pytest.approx(chances[1], abs=1e-4)


@pytest.mark.parametrize("name", ["qwen3_vl", "gemma4", "gemma3n", "llama4", "qwen3_5", "lfm2_vl", "mllama"])
def test_the_longest_answers_end_and_the_others_go_on(name: str, tiny: Tiny) -> None:
    """Whole caches, windows that are full, linear states, layers that share: all go back to before the failed step."""
    loaded = tiny(name)
    questions = [question(length) for length in LENGTHS]
    with Engine(loaded) as engine:
        alone = [engine.generate(asked, DRAWN[index % 2]) for index, asked in enumerate(questions)]
        with memory_for(loaded, rows=2):
            answers = together(engine, questions)
        assert [isinstance(answer, OutOfMemory) for answer in answers] == [True, False, True, False]
        assert all(same(answers[index], alone[index]) for index in (1, 3))
        assert same(engine.generate(questions[0], DRAWN[0]), alone[0])


@pytest.mark.parametrize("name", ["gemma4", "qwen3_5"])
def test_what_is_kept_for_others_goes_before_any_answer(name: str, tiny: Tiny) -> None:
    loaded = tiny(name)
    questions = [question(length) for length in LENGTHS]
    with Engine(loaded) as plain:
        alone = [plain.generate(asked, DRAWN[index % 2]) for index, asked in enumerate(questions)]
    with Engine(loaded, prefixes=8) as engine:
        engine.generate(question(1, picture(41)), DRAWN[0])
        assert len(engine.prefixes) > 0
        assert len(engine.encoded) > 0
        with memory_for(loaded, rows=3, times=1):
            answers = together(engine, questions)
        assert all(map(same, answers, alone))
        assert len(engine.encoded) == 0


def test_a_single_answer_that_is_too_much_fails_and_the_engine_goes_on(tiny: Tiny) -> None:
    loaded = tiny("gemma4")
    with Engine(loaded) as engine:
        with memory_for(loaded, rows=0):
            assert isinstance(outcome(engine.stream(question(1), DRAWN[0])), OutOfMemory)
        assert engine.generate(question(1), DRAWN[0]).usage.completion_tokens == 30


def test_a_prompt_is_tried_again_once_nothing_is_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True])

    def begin(*args: Any, **named: Any) -> Any:
        if next(failures, False):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real_begin(*args, **named)

    with Engine(tiny("gemma4"), prefixes=8) as engine:
        first = engine.generate(question(2), DRAWN[1])
        monkeypatch.setattr(model_runner, "begin", begin)
        assert same(engine.generate(question(2), DRAWN[1]), first)


@pytest.mark.parametrize("name", ["qwen3_vl", "gemma4", "qwen3_5", "mllama"])
@pytest.mark.parametrize("at", [0, 1])
def test_a_row_there_is_no_memory_to_take_in_fails_alone(
    name: str, at: int, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some layers have taken it in by then, and are wider for it."""
    loaded = tiny(name)
    questions = [question(length, picture(42)) for length in (2, 1, 6)]
    tried = 0

    def join(layer: Any, other: Any, width: int) -> None:
        nonlocal tried
        own = layer.conv_states[0] if hasattr(layer, "conv_states") else getattr(layer, "keys", None)
        if own is not None and len(own) == 2:
            tried += 1
            if (tried - 1) % (at + 1) == at:
                raise RuntimeError("can't allocate memory")
        real_join(layer, other, width)

    with Engine(loaded) as engine:
        alone = [engine.generate(asked, DRAWN[index % 2]) for index, asked in enumerate(questions)]
        monkeypatch.setattr(joined, "join", join)
        answers = together(engine, questions)
    assert tried == 2 * (at + 1), "once, and once more without what is kept"
    assert isinstance(answers[2], OutOfMemory)
    assert all(map(same, answers[:2], alone[:2]))


def test_an_answer_need_not_be_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(*args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(joined, "extract", extract)
    with Engine(tiny("qwen3_vl"), prefixes=4) as engine:
        assert engine.generate(question(1), DRAWN[0]).usage.completion_tokens == 30
        assert len(engine.prefixes) == 0


def test_a_buffer_that_cannot_grow_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    states, one = torch.arange(2.0 * 600).reshape(1, 1, 600, 2), torch.ones(1, 1, 1, 2)
    layer = PreallocatedLayer(states[:, :, :300], -states[:, :, :300])
    layer.update(states[:, :, 300:], -states[:, :, 300:])
    real, made = torch.Tensor.new_empty, 0

    def new_empty(self: torch.Tensor, *size: int) -> torch.Tensor:
        nonlocal made
        made += 1
        if made == 2:
            raise MemoryError
        return real(self, size)

    monkeypatch.setattr(torch.Tensor, "new_empty", new_empty)
    with pytest.raises(MemoryError):
        layer.update(one, one)
    assert torch.equal(layer.keys, states)
    assert torch.equal(layer.values, -states)
    layer.update(one, one)
    assert torch.equal(layer.values, torch.cat([-states, one], -2))


def test_a_buffer_takes_more_than_twice_what_it_holds() -> None:
    layer = PreallocatedLayer(torch.ones(1, 1, 3, 2), torch.ones(1, 1, 3, 2))
    keys, _ = layer.update(torch.zeros(1, 1, 900, 2), torch.zeros(1, 1, 900, 2))
    assert keys[0, 0, :, 0].tolist() == [1.0] * 3 + [0.0] * 900


def test_rows_that_leave_never_need_more_room_than_before() -> None:
    states = torch.ones(4, 1, 500, 2)
    layer = PreallocatedLayer(states[:, :, :300], states[:, :, :300])
    layer.update(states[:, :, 300:], states[:, :, 300:])
    room = layer.room
    layer.reorder_cache(torch.tensor([0, 1, 3]))
    assert layer.room == room
    assert layer.keys.shape == (3, 1, 500, 2)


@pytest.mark.parametrize("name", ["qwen3_vl", "gemma4", "gemma3n", "qwen3_5", "lfm2_vl", "mllama"])
@pytest.mark.parametrize("at", [0, 1])
def test_leaving_needs_no_memory(name: str, at: int, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows leave one after the other, the longest first; no layer can copy its keys, or else its values."""
    loaded = tiny(name)
    questions = [question(length, picture(length)) for length in LENGTHS]
    limits = [replace(DRAWN[index % 2], max_tokens=tokens) for index, tokens in enumerate((5, 25, 12, 18))]
    remove, select, empty = JoinedCache.remove, torch.Tensor.index_select, torch.Tensor.new_empty
    leaving, tried = False, 0

    def scarce(self: JoinedCache, rows: set[int]) -> None:
        nonlocal leaving
        leaving = True
        remove(self, rows)
        leaving = False

    def index_select(self: torch.Tensor, *arguments: Any) -> torch.Tensor:
        nonlocal tried
        if leaving:
            tried += 1
            if (tried - 1) % (at + 1) == at:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return select(self, *arguments)

    def new_empty(self: torch.Tensor, *size: Any, **named: Any) -> torch.Tensor:
        if leaving:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return empty(self, *size, **named)

    with Engine(loaded) as engine:
        alone = [engine.generate(asked, drawn) for asked, drawn in zip(questions, limits, strict=True)]
        monkeypatch.setattr(JoinedCache, "remove", scarce)
        monkeypatch.setattr(torch.Tensor, "index_select", index_select)
        monkeypatch.setattr(torch.Tensor, "new_empty", new_empty)
        answers = together(engine, questions, limits)
    assert tried > 4
    assert all(map(same, answers, alone))
