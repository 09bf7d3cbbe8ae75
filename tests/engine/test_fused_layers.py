"""A step of one token is what transformers' own layers compute, with a fraction of the operator calls."""

import copy
import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import ref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.runner import attention
from mistralrs_cli.engine.runner.fused_layers import FusedLayer, fusible, rotate, use_for
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.decoder_layers import decoder_layers
from mistralrs_cli.loading.quantization.layers import QuantizedLinear
from mistralrs_cli.loading.quantization.types import QuantType
from mistralrs_cli.loading.torchvision import ensure_importable
from tests.checkpoints.builders import BUILDERS

FUSED = {
    "idefics2",
    "idefics3",
    "llama",
    "llava",
    "llava_next",
    "llava_next_vicuna",
    "minicpmo",
    "mistral3",
    "qwen2_5_vl",
    "qwen2_vl",
    "qwen3_vl",
    "qwen3_vl_moe",
    "smolvlm",
    "voxtral",
}
"""Checkpoints whose layers all have the known form."""


class Operators(TorchDispatchMode):
    """Counts the calls of operators."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def step(loaded: LoadedModel, rows: int, *, own: bool) -> tuple[torch.Tensor, int]:
    """Logits float32 [rows, vocabulary] of a token behind a prompt of five, and the operator calls they took."""
    from transformers import DynamicCache

    model = loaded.model
    layers: Any = model.get_submodule(decoder_layers(model))
    fused = [layer.forward for layer in layers]
    for module in model.modules():
        if hasattr(module, "rope_deltas"):
            module.rope_deltas = None  # of the last prompt with images: positions are counted from none here
    if own:
        for layer in layers:
            layer.forward = layer.forward.own
    ids = torch.arange(3, 3 + 6 * rows).view(rows, 6)
    counted = Operators()
    try:
        with torch.inference_mode():
            cache = DynamicCache(config=model.config.get_text_config(decoder=True))
            mask = torch.ones(rows, 6, dtype=torch.long)
            mask[0, 0] = 0
            model(input_ids=ids[:, :5], attention_mask=mask[:, :5], past_key_values=cache, use_cache=True)
            with counted:
                found = model(input_ids=ids[:, 5:], attention_mask=mask, past_key_values=cache, use_cache=True)
    finally:
        for layer, forward in zip(layers, fused, strict=True):
            layer.forward = forward
    return found.logits[:, -1].float(), counted.calls


def test_a_layer_is_gone_when_its_model_is() -> None:
    """Without waiting for the garbage collector: its weights may be gigabytes."""
    ensure_importable()
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    model: Any = LlamaForCausalLM(config).eval()
    attention.use_for(model)
    assert use_for(model) == 1
    layer = ref(model.model.layers[0])
    gc.disable()
    try:
        del model
        assert layer() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", BUILDERS)
def test_the_logits_are_those_of_transformers_layers(name: str, tiny: Callable[[str], LoadedModel]) -> None:
    loaded = tiny(name)
    with Engine(loaded):
        layers: Any = loaded.model.get_submodule(decoder_layers(loaded.model))
        fused = [isinstance(layer.forward, FusedLayer) for layer in layers]
        assert (all(fused) and len(fused) > 0) == (name in FUSED), fused
        if name not in FUSED:
            assert not any(fused)
            return
        for rows in (1, 3):
            wanted, before = step(loaded, rows, own=True)
            found, calls = step(loaded, rows, own=False)
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
            assert calls < before


def test_queries_and_keys_are_rotated_bit_for_bit() -> None:
    states = torch.randn(2, 6, 1, 16)
    cosines, sines = torch.randn(2, 2, 1, 1, 16).unbind()
    first, second = states.chunk(2, -1)
    wanted = (states * cosines) + (torch.cat((-second, first), -1) * sines)
    signed = torch.cat((-sines[..., :8], sines[..., 8:]), -1)
    assert torch.equal(rotate(states, cosines, signed), wanted)


def test_layers_that_are_watched_or_changed_stay_as_they_are(tiny: Callable[[str], LoadedModel]) -> None:
    with Engine(tiny("llama")) as engine:
        layers: Any = engine.loaded.model.get_submodule(decoder_layers(engine.loaded.model))
        layer = layers[0]
        assert fusible(layer)
        hook = layer.mlp.up_proj.register_forward_hook(lambda *given: None)
        assert not fusible(layer)
        hook.remove()
        kept = layer.self_attn.q_proj
        layer.self_attn.q_proj = torch.nn.Sequential(kept)
        assert not fusible(layer)
        layer.self_attn.q_proj = kept


@pytest.mark.parametrize("kind", [QuantType.INT8, QuantType.Q4_K, QuantType.Q8_0, QuantType.Q6_K])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inputs_converted_once_give_the_same_product(kind: QuantType, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    source = torch.nn.Linear(256, 64)
    layer = QuantizedLinear(source, kind)
    for name, tensor in layer.pack("weight", source.weight.detach()).items():
        layer.register_parameter(name, torch.nn.Parameter(tensor, requires_grad=False))
    layer.rearrange()
    inputs = torch.randn(3, 256).to(dtype)
    if layer.few:
        assert torch.equal(layer.few_rows(inputs.bfloat16(), dtype), layer(inputs))
    else:
        assert kind is QuantType.Q6_K or not torch.backends.cpu.get_cpu_capability().startswith("AVX")


def test_a_copied_model_computes_with_its_own_weights(tiny: Callable[[str], LoadedModel]) -> None:
    loaded = tiny("qwen3_vl")
    with Engine(loaded):
        copied = replace(loaded, model=copy.deepcopy(loaded.model).double())
        layers: Any = copied.model.get_submodule(decoder_layers(copied.model))
        assert all(isinstance(layer.forward, FusedLayer) for layer in layers)
        wanted, _ = step(copied, 2, own=True)
        found, _ = step(copied, 2, own=False)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(found, step(loaded, 2, own=False)[0], rtol=1e-3, atol=1e-3)
