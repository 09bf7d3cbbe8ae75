"""Memory is shared out before it is used."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import mistralrs_cli.engine as engine_module
from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.kv import budget
from mistralrs_cli.engine.kv.budget import GROWTH, Budget
from mistralrs_cli.errors import OutOfMemory
from mistralrs_cli.loading import LoadedModel, devices
from mistralrs_cli.loading.memory import token_cache_size
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Sampling

Tiny = Callable[[str], LoadedModel]


def per_token(loaded: LoadedModel) -> int:
    return token_cache_size(loaded.family.text_config, loaded.model.dtype.itemsize)


def user(text: str) -> list[Message]:
    return [Message("user", (Text(text),))]


def test_rows_are_counted_as_wide_as_the_widest() -> None:
    budget = Budget(1000 * GROWTH, per_token=1.0)
    assert budget.tokens == 1000
    assert budget.admits([], 5000), "alone it is tried"
    assert budget.admits([400], 500)
    assert not budget.admits([400], 501)
    assert not budget.admits([100, 100], 400)
    assert budget.admits([100, 100], 333)
    budget.check(2000)
    with pytest.raises(OutOfMemory):
        budget.check(2001)


@pytest.mark.parametrize(("name", "least"), [("llama", 0.9), ("gemma4", 0.7), ("gemma3n", 0.9)])
def test_the_configuration_is_about_right_and_a_real_cache_is_believed(tiny: Tiny, name: str, least: float) -> None:
    loaded = tiny(name)
    with Engine(loaded) as engine:
        engine.generate(user("hello " * 30), Sampling(max_tokens=2))
        assert least < per_token(loaded) / engine.budget.per_token <= 1.0


def test_requests_wait_for_memory_and_all_get_their_turn(tiny: Tiny) -> None:
    loaded = tiny("llama")
    room = int(per_token(loaded) * GROWTH * 2 * 250)  # for two rows of 250 tokens
    most = 0
    with Engine(loaded, max_rows=8, cache_bytes=room) as engine, ThreadPoolExecutor(6) as pool:

        def ask(length: int) -> int:
            nonlocal most
            stream = engine.stream(user("x"), Sampling(max_tokens=length, temperature=0.0, ignore_eos=True))
            for _ in stream:
                most = max(most, engine.running)
            return length

        lengths = [150, 150, 40, 200, 150, 40]
        assert sorted(pool.map(ask, lengths)) == sorted(lengths)
    assert most == 2


def test_a_prompt_without_room_fails_alone(tiny: Tiny) -> None:
    loaded = tiny("llama")
    with Engine(loaded, cache_bytes=int(per_token(loaded) * 100)) as engine:
        with pytest.raises(OutOfMemory):
            engine.generate(user("word " * 200))
        assert engine.generate(user("hi"), Sampling(max_tokens=3)).usage.completion_tokens > 0


def test_what_runs_and_what_is_kept_fit_together_into_what_is_free(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 1 << 30
    monkeypatch.setattr(budget, "free_memory", lambda device: free)
    monkeypatch.setattr(engine_module, "free_memory", lambda device: free)
    with Engine(tiny("gemma4"), prefixes=16) as engine:
        parts = engine.budget.size, engine.prefixes.size, engine.encoded.size
        assert min(parts) > 0
        assert sum(parts) < 0.9 * free, "the rest is for activations"


def limit(megabytes: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A container that leaves so much memory; returns the bytes."""
    for name, text in (("max", f"{megabytes + 100 << 20}\n"), ("current", f"{110 << 20}\n")):
        (folder / f"memory.{name}").write_text(text)
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {10 << 20}\n")
    monkeypatch.setattr(devices, "CGROUP", folder)
    return megabytes << 20


def test_a_containers_limit_counts_for_answers_caches_and_media(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = limit(64, tmp_path, monkeypatch)
    with Engine(tiny("llama"), prefixes=4) as engine:
        assert engine.budget.size == int(free * budget.SHARE)
        assert engine.prefixes.size == int(free * budget.PREFIXES)
        assert engine.encoded.size == int(free * budget.ENCODED)
        assert engine.media_bytes == int(free * budget.MEDIA)


def test_a_containers_limit_counts_for_the_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "model"
    weights.mkdir()
    save_file({"weight": torch.zeros(1 << 20)}, weights / "model.safetensors")  # 4 MiB
    monkeypatch.setattr(devices, "SMALL_WEIGHTS", 0)
    monkeypatch.setattr(devices, "has_bfloat16", lambda: False)
    cpu = torch.device("cpu")
    limit(9, tmp_path, monkeypatch)
    assert devices.choose_dtype(ModelOptions(), cpu, weights) is torch.float32
    limit(7, tmp_path, monkeypatch)
    assert devices.choose_dtype(ModelOptions(), cpu, weights) is torch.bfloat16
