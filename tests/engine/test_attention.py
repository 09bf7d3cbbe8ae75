"""One token attends as transformers has it attend, whatever shape the work is given."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.runner import attention
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.decoder_layers import decoder_of
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.builders import BUILDERS

UNCHANGED = frozenset[str]()
"""Checkpoints whose decoder keeps transformers' own attention."""


def theirs(*given: Any, **named: Any) -> torch.Tensor:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    attended: torch.Tensor = sdpa_attention_forward(*given, **named)[0]
    return attended


def tensors(heads: int, shared: int, queries: int, dtype: torch.dtype, batch: int = 2, tokens: int = 37) -> Any:
    torch.manual_seed(heads * 100 + shared * 10 + queries)
    query = torch.randn(batch, heads, queries, 32, dtype=dtype)
    return query, *(torch.randn(batch, heads // shared, tokens, 32, dtype=dtype) for _ in range(2))


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("shared", [1, 2, 4])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_says_what_transformers_says(queries: int, shared: int, masked: bool, dtype: torch.dtype) -> None:
    query, key, value = tensors(8, shared, queries, dtype)
    mask = torch.ones(2, 1, queries, 37, dtype=torch.bool)
    mask[0, :, :, :9] = False
    module: Any = SimpleNamespace(num_key_value_groups=shared, is_causal=False)
    given = (module, query, key, value, mask if masked else None, 0.0, 0.3)
    wanted, found = theirs(*given), attention.attend(*given)[0]
    assert found.shape == wanted.shape == (2, queries, 8, 32)
    assert found.is_contiguous()
    torch.testing.assert_close(found, wanted, atol=1e-6 if dtype is torch.float32 else 2e-2, rtol=0)


@pytest.mark.parametrize("shared", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tokens_behind_cached_ones_attend_causally(
    shared: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, key, value = tensors(8, shared, 5, dtype)
    module: Any = SimpleNamespace(num_key_value_groups=shared, is_causal=True)
    behind: list[int] = []
    attend_behind = attention.attend_behind

    def noting(query: torch.Tensor, *rest: Any) -> torch.Tensor:
        behind.append(query.shape[2])
        return attend_behind(query, *rest)

    monkeypatch.setattr(attention, "attend_behind", noting)
    padded = torch.ones(2, 37, dtype=torch.bool)
    padded[0, :9] = False
    for padding, plain in ((None, True), (padded, False)):
        mask = attention.mask(2, 5, 37, q_offset=32, attention_mask=padding)
        given = (module, query, key, value, mask, 0.0, 0.3)
        wanted, found = theirs(*given), attention.attend(*given)[0]
        assert found.is_contiguous()
        torch.testing.assert_close(found, wanted, atol=1e-6 if dtype is torch.float32 else 2e-2, rtol=0)
        assert behind == ([5] if plain else [])
        behind.clear()


def test_the_work_of_one_token_has_several_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    attended = torch.nn.functional.scaled_dot_product_attention

    def noting(query: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        rows.append(query.shape[2])
        return attended(query, *rest, **more)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noting)
    for shared, dtype in ((4, torch.bfloat16), (4, torch.float32), (1, torch.bfloat16), (1, torch.float32)):
        query, key, value = tensors(8, shared, 1, dtype)
        attention.attend(SimpleNamespace(num_key_value_groups=shared), query, key, value, None)  # type: ignore[arg-type]
    assert rows == [4, 4, 2, 1]


def test_what_only_transformers_knows_is_left_to_it() -> None:
    query, key, value = tensors(8, 4, 1, torch.float32)
    module: Any = SimpleNamespace(num_key_value_groups=4, is_causal=False)
    bias = torch.randn(1, 8, 1, 37)
    wanted = theirs(module, query, key, value, None, position_bias=bias)
    torch.testing.assert_close(attention.attend(module, query, key, value, None, position_bias=bias)[0], wanted)
    assert not torch.allclose(attention.attend(module, query, key, value, None)[0], wanted)
    with pytest.raises(ValueError, match="softcap"):
        attention.attend(module, query, key, value, None, softcap=30.0)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_family_decodes_this_way(
    name: str, tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = tiny(name)
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    calls: list[int] = []
    attend = attention.attend

    def counting(module: torch.nn.Module, query: torch.Tensor, *given: Any, **named: Any) -> Any:
        calls.append(query.shape[2])
        return attend(module, query, *given, **named)

    with Engine(loaded) as engine:
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, attention.NAME, counting)
        monkeypatch.setattr(attention, "attend", counting)
        reply = engine.generate([Message("user", (Text("hi"),))], Sampling(max_tokens=3, temperature=0.0))
    decoder: Any = decoder_of(loaded.model)
    if decoder.config._attn_implementation != attention.NAME:
        assert name in UNCHANGED
        return
    attending = loaded.model.config.get_text_config(decoder=True).num_hidden_layers
    types = getattr(decoder.config, "layer_types", None) or ["full_attention"] * attending
    crossing = len(getattr(decoder.config, "cross_attention_layers", None) or ())
    steps = reply.usage.completion_tokens - 1
    layers = sum(kind in ("full_attention", "sliding_attention", "chunked_attention") for kind in types) - crossing
    early = getattr(decoder.config, "num_kv_shared_layers", 0) if "gemma4" in name else 0  # run a prompt's end alone
    assert calls.count(1) == layers * steps + early > 0


def test_other_models_in_the_process_keep_transformers_function(tiny: Callable[[str], LoadedModel]) -> None:
    loaded = tiny("llama")
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    with Engine(loaded):
        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward
        other = LlamaForCausalLM(
            LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
        )
        assert other.config._attn_implementation == "sdpa"


def test_code_that_compares_the_name_keeps_its_function() -> None:
    from transformers.models.deepseek_v32 import modeling_deepseek_v32
    from transformers.models.gemma4 import modeling_gemma4

    assert attention.COMPARES.search(inspect.getsource(modeling_deepseek_v32))
    assert not attention.COMPARES.search(inspect.getsource(modeling_gemma4))
