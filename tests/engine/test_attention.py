"""One token attends as transformers has it attend, whatever shape the work is given."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.runner import attention
from mistralrs_cli.loading import LoadedModel


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


def test_every_engine_decodes_this_way(tiny: Callable[[str], LoadedModel]) -> None:
    with Engine(tiny("llama")):
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is attention.attend
