"""Fixed buffers in place of a cache that grows: the same logits, and nothing whose shape or place changes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.kv import static
from mistralrs_cli.engine.kv.layers import tensors
from mistralrs_cli.engine.kv.snapshot import SequenceCache
from mistralrs_cli.engine.kv.static import KEPT, BufferPool, FixedLayer, StaticCache, bucket
from mistralrs_cli.engine.runner.cuda_graph import CapturedSteps, logits_of
from mistralrs_cli.engine.runner.model_runner import ModelRunner
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Sampling

Tiny = Callable[[str], LoadedModel]


def prefilled(tokens: int, value: float, layers: int = 2) -> SequenceCache:
    cache = DynamicCache()
    cache.layers = []
    for _ in range(layers):
        layer: Any = DynamicLayer()
        states = torch.full((1, 2, tokens, 4), value)
        layer.update(states, -states)
        cache.layers.append(layer)
    return SequenceCache(cache, tokens)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers from 4 tokens on."""
    monkeypatch.setattr(static, "FIRST_CAPACITY", 4)


@pytest.fixture
def pool() -> BufferPool:
    return BufferPool(torch.device("cpu"), ())


def step(cache: StaticCache, value: float) -> None:
    """A forward pass that writes ``value`` for every row."""
    inputs = cache.step_inputs()
    for index in range(2):
        states = torch.full((cache.rows, 2, 1, 4), value)
        keys, _ = inputs["past_key_values"].update(states, -states, index)
        assert keys.shape[2] == inputs["attention_mask"].shape[-1]
    cache.commit()


def row(cache: StaticCache, index: int) -> list[float]:
    """The keys of a row, token by token."""
    kept = cache.snapshot(index)
    assert torch.equal(kept.cache.layers[1].values, -kept.cache.layers[1].keys)
    found: list[float] = kept.cache.layers[1].keys[0, 0, :, 0].tolist()
    return found


def test_buckets_waste_no_more_than_half() -> None:
    rows = [bucket(count, 1)[0] for count in range(1, 65)]
    assert all(count <= found < 1.5 * count + 1 for count, found in enumerate(rows, 1))
    assert sorted(set(rows)) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
    assert [bucket(1, tokens)[1] for tokens in (1, 256, 257, 512, 513)] == [256, 256, 512, 512, 1024]
    assert StaticCache.footprint([100, 200, 300]) == 3 * 512 // 2
    assert StaticCache.footprint([]) == 0


def test_rows_come_grow_and_leave(small: None, pool: BufferPool) -> None:
    cache = StaticCache(pool)
    assert (cache.rows, cache.bytes_per_token) == (0, 0.0)
    cache.add(prefilled(2, 1.0))
    step(cache, 5.0)
    cache.add(prefilled(6, 2.0))
    cache.add(prefilled(1, 3.0))
    step(cache, 6.0)
    assert (cache.rows, cache.lengths) == (3, [4, 7, 2])
    assert cache.bytes_per_token == 2 * 2 * 2 * 4 * 4
    step(cache, 7.0)
    step(cache, 8.0)
    assert cache.buffers is not None
    assert cache.buffers.capacity == 16
    assert row(cache, 0) == [1, 1, 5, 6, 7, 8]
    assert row(cache, 1) == [2] * 6 + [6, 7, 8]
    assert row(cache, 2) == [3, 6, 7, 8]
    cache.remove([1])
    assert (row(cache, 0), row(cache, 1)) == ([1, 1, 5, 6, 7, 8], [3, 6, 7, 8])
    cache.remove([0])
    assert (cache.rows, row(cache, 0)) == (1, [3, 6, 7, 8])
    cache.remove([0])
    assert (cache.rows, len(cache.lengths)) == (0, 0)


def test_a_long_row_that_leaves_takes_its_room_with_it(small: None, pool: BufferPool) -> None:
    cache = StaticCache(pool)
    for tokens in (30, 2, 3):
        cache.add(prefilled(tokens, float(tokens)))
    assert cache.buffers is not None
    assert cache.buffers.capacity == 32
    cache.remove([0])
    assert (cache.rows, cache.buffers.capacity) == (2, 4)
    assert (row(cache, 0), row(cache, 1)) == ([2, 2], [3, 3, 3])


def test_numbers_that_are_none_stay_with_their_row(small: None, pool: BufferPool) -> None:
    """A mask hides them, but 0 times such a value is no number either."""
    nan = float("nan")
    cache = StaticCache(pool)
    cache.add(prefilled(2, 1.0))
    cache.add(prefilled(4, nan))
    cache.remove([1])
    cache.add(prefilled(1, 2.0))
    cache.add(prefilled(3, nan))  # grows, to buffers that the next use has in common
    assert cache.buffers is not None
    for index in range(2):
        assert all(tensor[index].isfinite().all() for layer in cache.buffers.layers for tensor in tensors(layer)[:2])
    cache.remove([0, 1, 2])
    again = StaticCache(pool)
    again.add(prefilled(1, 1.0))
    again.add(prefilled(7, 1.0))
    assert again.buffers is not None
    for index in range(2):
        assert all(tensor[index].isfinite().all() for layer in again.buffers.layers for tensor in tensors(layer)[:2])


def test_a_step_taken_back_leaves_nothing(small: None, pool: BufferPool) -> None:
    cache = StaticCache(pool)
    cache.add(prefilled(3, 1.0))
    inputs = cache.step_inputs()
    states = torch.full((1, 2, 1, 4), 9.0)
    inputs["past_key_values"].update(states, -states, 0)
    cache.rollback()
    assert row(cache, 0) == [1, 1, 1]
    step(cache, 2.0)
    assert row(cache, 0) == [1, 1, 1, 2]


def test_the_mask_shows_each_row_its_own(small: None, pool: BufferPool) -> None:
    cache = StaticCache(pool)
    for tokens in (2, 3, 1, 1, 1):
        cache.add(prefilled(tokens, 1.0))
    mask = cache.step_inputs()["attention_mask"]
    assert mask[:, 0, 0].sum(-1).tolist() == [3, 4, 2, 2, 2, 1]
    assert mask.shape == (6, 1, 1, 4)


def test_buffers_are_used_again_and_few_are_kept(small: None, pool: BufferPool) -> None:
    places = []
    for _ in range(2):
        cache = StaticCache(pool)
        cache.add(prefilled(2, 1.0))
        places.append(tensors(cache.step_inputs()["past_key_values"].layers[0])[0].data_ptr())
        cache.remove([0])
    assert places[0] == places[1]
    for tokens in (2, 6, 12, 24):
        cache = StaticCache(pool)
        cache.add(prefilled(tokens, 1.0))
        cache.remove([0])
    assert len(pool._free) == KEPT
    pool.clear()
    assert not pool._free


def test_a_row_that_does_not_fit_leaves_the_others(small: None, pool: BufferPool, monkeypatch: Any) -> None:
    cache = StaticCache(pool)
    cache.add(prefilled(2, 1.0))

    def scarce(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(FixedLayer, "__init__", scarce)
        with pytest.raises(torch.OutOfMemoryError):
            cache.add(prefilled(9, 2.0))
        assert (cache.lengths, row(cache, 0)) == ([2], [1, 1])
    cache.add(prefilled(9, 2.0))
    with monkeypatch.context() as patch:
        patch.setattr(FixedLayer, "__init__", scarce)
        cache.remove([0])
    assert row(cache, 0) == [2] * 9


def ask(engine: Engine, text: str) -> str:
    sampling = Sampling(max_tokens=12, temperature=0.0, ignore_eos=True)
    return engine.generate([Message("user", (Text(text),))], sampling).text


def replayed(run: Callable[[], torch.Tensor], pool: Any) -> tuple[torch.Tensor, Callable[[], None]]:
    """As CUDA does it: a replay computes the same from the same tensors, into the same tensor."""
    found = run()

    def replay() -> None:
        found.copy_(run())

    return found, replay


def test_an_engine_answers_alike_captured_or_not(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    loaded = tiny("llama")
    with Engine(loaded) as engine:
        plain = [ask(engine, text) for text in ("hello", "and a longer one")]
        assert engine.info.notes == loaded.notes
    monkeypatch.setenv("MISTRALRS_STATIC_CACHE", "1")
    with Engine(loaded, prefixes=2) as engine:
        assert [ask(engine, text) for text in ("hello", "and a longer one", "hello")] == [*plain, plain[0]]
    with Engine(loaded) as engine:
        runner = engine._scheduler.runner
        runner._captured = CapturedSteps(loaded.model, replayed)
        assert [ask(engine, text) for text in ("hello", "and a longer one")] == plain
        assert engine.info.notes[-1] == "decode steps are captured as CUDA graphs"
        assert runner._pool is not None
        assert any(buffers.captured for buffers in runner._pool._free)


@pytest.mark.parametrize("wrong", [True, False])
def test_what_cannot_be_captured_is_run_eagerly(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, wrong: bool) -> None:
    loaded = tiny("llama")

    def fails(run: Callable[[], torch.Tensor], pool: Any) -> Any:
        if not wrong:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return run() + 10, lambda: None

    with Engine(loaded) as engine:
        plain = ask(engine, "hello")
    monkeypatch.setenv("MISTRALRS_STATIC_CACHE", "1")
    with Engine(loaded) as engine:
        engine._scheduler.runner._captured = CapturedSteps(loaded.model, fails)
        assert ask(engine, "hello") == plain
        why = "a captured step gave other logits" if wrong else "operation not permitted when stream is capturing"
        assert engine.info.notes[-1] == f"decode steps are not captured as CUDA graphs: {why}"


def test_a_capture_without_memory_is_tried_again(tiny: Tiny) -> None:
    model, tries = tiny("llama").model, 0

    def scarce(run: Callable[[], torch.Tensor], pool: Any) -> Any:
        nonlocal tries
        tries += 1
        raise torch.OutOfMemoryError("CUDA out of memory")

    steps = CapturedSteps(model, scarce)
    given = {"input_ids": torch.tensor([[65]]), "position_ids": torch.tensor([[0]])}
    buffers: Any = type("Buffers", (), {"captured": {}})()
    with torch.inference_mode():
        for _ in range(2):
            assert torch.equal(steps.logits(buffers, None, given), logits_of(model, given))
    assert (tries, steps.failure) == (2, None)


@pytest.mark.parametrize("name", ["llama4", "qwen3_5", "mllama", "lfm2_vl"])
def test_what_cannot_be_in_fixed_buffers_grows(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    runner = ModelRunner(loaded, static=True)
    inputs = loaded.family.prepare(loaded.processor, [Message("user", (Text("hello"),))]).inputs
    with torch.inference_mode():
        found = runner.begin(inputs, None, check_cancelled=lambda: None).advance()
    assert found is not None
    assert not isinstance(runner.new_cache(found[0]), StaticCache)
