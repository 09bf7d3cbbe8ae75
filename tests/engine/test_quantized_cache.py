"""A KV cache of 8 bits: near to the exact one, and the same however a sequence came to it."""

from collections.abc import Callable, Sequence

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.kv.layers import bytes_of, tensors
from mistralrs_cli.engine.kv.prefix import Reuse
from mistralrs_cli.engine.kv.quantized import QuantizedLayer, Scratch, dequantize, quantize
from mistralrs_cli.engine.runner.model_runner import ModelRunner
from mistralrs_cli.engine.sequence import SequenceState
from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.kv_cache import check_kv_cache, group_size
from mistralrs_cli.loading.memory import cache_size, token_cache_size
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import KVCacheType, Sampling
from tests.checkpoints.media import picture
from tests.engine.batches import Batch

Tiny = Callable[[str], LoadedModel]
FULL = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 256}
MIXED = ["llama", "qwen3_vl", "gemma4", "qwen3_5", "mllama"]  # some layers share, slide, sum up or look across
NEAR = 1e-3  # logits of size 1; a number on the edge of two codes may fall to either side
TOKENS = (65, 66, 67)


def test_a_number_is_off_by_half_a_step_at_most() -> None:
    states = torch.randn(2, 3, 50, 80) * torch.logspace(-8, 3, 50)[:, None]
    codes, scales = quantize(states)
    assert (codes.dtype, scales.shape) == (torch.int8, (2, 3, 50, 5))
    steps = scales.float().repeat_interleave(16, -1)
    found = dequantize(codes, scales, torch.empty_like(states))
    assert ((found - states).abs() <= steps * 0.51).all()
    again = quantize(found)
    assert torch.equal(dequantize(*again, torch.empty_like(states)), found), "what was stored once stays as it is"


def test_zeros_stay_zeros() -> None:
    codes, scales = quantize(torch.zeros(1, 1, 2, 32))
    assert not dequantize(codes, scales, torch.ones(1, 1, 2, 32)).any()


@pytest.mark.parametrize(("width", "group"), [(128, 32), (80, 16), (8, 8), (4, 4), (20, 20)])
def test_neighbours_share_a_scale(width: int, group: int) -> None:
    assert group_size(width) == group


def test_the_plan_counts_codes_and_scales() -> None:
    assert cache_size(FULL, 100, 3, 2, 2, "q8") == [2 * 3 * 100 * 2 * (64 + 2 * 2)] * 2
    assert token_cache_size(FULL, 2, "q8") / token_cache_size(FULL, 2) == 8.5 / 16
    sliding = FULL | {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 10}
    assert cache_size(sliding, 100, 1, 2, 2, "q8") == [2 * 10 * 2 * 64 * 2, 2 * 100 * 2 * 68]


def test_layers_that_cannot_are_named_and_models_without_others_refused() -> None:
    assert check_kv_cache("m", FULL, "q8", 2) is None
    types = ["linear_attention", "full_attention"]
    assert check_kv_cache("m", FULL | {"layer_types": types}, "auto", 2) is None
    note = check_kv_cache("m", FULL | {"layer_types": types}, "q8", 2)
    assert note == "KV cache q8 in 1 of 2 layers; the others keep a fixed amount"
    with pytest.raises(OptionError, match="no layer that attends to all tokens, only linear attention"):
        check_kv_cache("m", FULL | {"layer_types": types[:1] * 2}, "q8", 2)


def prompt(loaded: LoadedModel, words: str) -> dict[str, torch.Tensor]:
    parts = (picture(1), Text(words)) if "image" in loaded.family.modalities else (Text(words),)
    return loaded.family.prepare(loaded.processor, [Message("user", parts)]).inputs


def prefilled(
    runner: ModelRunner, inputs: dict[str, torch.Tensor], reuse: Reuse | None = None, chunk: int | None = None
) -> tuple[SequenceState, torch.Tensor]:
    begun = runner.begin(dict(inputs), None, reuse, check_cancelled=lambda: None)
    found = None
    while found is None:
        found = runner.advance(begun, None, chunk, check_cancelled=lambda: None)
    return found


def decoded(batch: Batch) -> list[torch.Tensor]:
    """Logits of the given tokens, one after the other."""
    found = []
    for token in TOKENS:
        for sequence in batch.sequences:
            sequence.ids = torch.cat([sequence.ids, torch.tensor([[token]])], -1)
        found.append(batch.step())
    return found


def close(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return all(float((mine - theirs).abs().max()) < NEAR for mine, theirs in zip(one, other, strict=True))


@torch.inference_mode()
@pytest.mark.parametrize("name", MIXED)
def test_batched_is_alone_and_near_to_the_exact_cache(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    prompts = [prompt(loaded, words) for words in ("hello", "a good deal longer than the others " * 4, "and again")]
    batches: list[Batch] = []
    quantized: KVCacheType = "q8"
    exactly: KVCacheType = "auto"
    for rows, kind in (([0, 1, 2], quantized), ([0], quantized), ([1], quantized), ([2], quantized), ([1], exactly)):
        batches.append(Batch(loaded, kind))
        for row in rows:
            batches[-1].add(prefilled(batches[-1].runner, prompts[row])[0])
    together, *alone, exact = map(decoded, batches)
    for row, single in enumerate(alone):
        assert close([step[row : row + 1] for step in together], single)
    assert all(float((mine - theirs).abs().max()) < 0.2 for mine, theirs in zip(alone[1], exact, strict=True))
    layers = batches[2].cache.snapshot(0).cache.layers
    assert any(isinstance(layer, QuantizedLayer) and layer.keys.dtype is torch.int8 for layer in layers)
    kept = [batches[index].cache.bytes_per_token for index in (2, 4)]
    assert kept[0] < kept[1]


@torch.inference_mode()
@pytest.mark.parametrize("name", ["llama", "qwen3_vl", "gemma4"])
def test_reused_and_in_chunks_is_whole(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    runner = ModelRunner(loaded, "q8")
    inputs = prompt(loaded, "some words for a prompt that is long enough to be cut")
    whole, wanted = prefilled(runner, inputs)
    chunked, found = prefilled(runner, inputs, chunk=16)
    assert close([found], [wanted])
    assert whole.cache is not None
    kept = whole.cache.snapshot()
    before = [tensor.clone() for layer in kept.cache.layers for tensor in tensors(layer)]
    tokens = kept.tokens - 1 if kept.croppable else kept.tokens
    if tokens < kept.tokens:
        again, found = prefilled(runner, inputs, Reuse(kept, tokens, {}))
        assert close([found], [wanted])
        assert again.cache is not None
        assert bytes_of(again.cache.cache) == bytes_of(kept.cache)
    batch = Batch(loaded, "q8")
    batch.add(chunked)
    restored = Batch(loaded, "q8")
    whole.cache = kept.restored()
    restored.add(whole)
    assert close(decoded(batch), decoded(restored))
    after = [tensor for layer in kept.cache.layers for tensor in tensors(layer)]
    assert all(map(torch.equal, before, after)), "what is kept for later is never written to"


def test_scratch_grows_and_is_shared() -> None:
    scratch = Scratch()
    device = torch.device("cpu")
    small = scratch.tensor("keys", (2, 3), torch.float32, device)
    assert scratch.tensor("keys", (3, 2), torch.float32, device).data_ptr() == small.data_ptr()
    assert scratch.tensor("values", (2, 3), torch.float32, device).data_ptr() != small.data_ptr()
    assert scratch.tensor("keys", (20, 30), torch.float32, device).shape == (20, 30)


def test_an_engine_budgets_what_it_stores(tiny: Tiny) -> None:
    loaded = tiny("llama")
    with Engine(loaded, kv_cache_type="q8") as engine, Engine(loaded) as exact:
        said = engine.generate([Message("user", (Text("hello " * 30),))], Sampling(max_tokens=3))
        assert said.usage.completion_tokens == 3
        assert engine.budget.per_token == token_cache_size(loaded.family.text_config, 4, "q8") < exact.budget.per_token
