"""Linear layers in 16 bits that are multiplied in float32 where that is measured to be faster."""

import copy

import pytest
import torch
from torch import nn

from mistralrs_cli.engine.runner import widened_linear
from mistralrs_cli.engine.runner.widened_linear import BLOCK, WidenedLinear, use_for
from mistralrs_cli.loading.quantization.kernel_pin import Way
from tests.default_dtype import default_dtype


def layers(dtype: torch.dtype, *, bias: bool = True) -> tuple[nn.Linear, WidenedLinear]:
    """A layer of more rows than are widened at once, as it was and as the engine uses it."""
    plain = nn.Linear(64, BLOCK // 64 + 5, bias=bias).to(dtype).requires_grad_(False)
    model = nn.Sequential(copy.deepcopy(plain))
    assert use_for(model) == 1
    widened = model[0]
    assert isinstance(widened, WidenedLinear)
    return plain, widened


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", [True, False])
def test_the_product_is_rounded_once(dtype: torch.dtype, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widened_linear, "pin", lambda: "unpacked")
    plain, widened = layers(dtype, bias=bias)
    inputs = torch.randn(2, 3, 64).to(dtype)
    exact = nn.functional.linear(inputs.float(), plain.weight.float(), plain.bias.float() if bias else None)
    found = widened(inputs)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), exact, rtol=torch.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize(("pinned", "rows"), [("packed", 8), ("unpacked", 3)])
def test_few_rows_and_a_pinned_kernel_are_torchs(pinned: Way, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widened_linear, "pin", lambda: pinned)
    monkeypatch.setattr(widened_linear, "multiply", None)
    plain, widened = layers(torch.bfloat16)
    inputs = torch.randn(rows, 64).bfloat16()
    assert torch.equal(widened(inputs), plain(inputs))


def test_it_is_measured_once_for_some_rows_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []

    class Choices:
        def fastest(self, key: str, ways: dict[Way, object], tries: int) -> Way:
            assert set(ways) == {"packed", "unpacked"}
            keys.append(key)
            return "unpacked"

    monkeypatch.setattr(widened_linear, "pin", lambda: "ggml")  # which has nothing to do with 16 bits
    monkeypatch.setattr(widened_linear, "choices", Choices)
    widened_linear.faster.cache_clear()
    try:
        _, widened = layers(torch.bfloat16)
        for rows in (3, 4, 5, 16, 17):
            widened(torch.zeros(rows, 64).bfloat16())
    finally:
        widened_linear.faster.cache_clear()
    threads = torch.get_num_threads()
    assert keys == [f"linear bfloat16 {rows} rows {threads} threads" for rows in (4, 16)]


def test_another_default_dtype_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As transformers sets it for the whole process, while another thread loads a model in 16 bits."""
    monkeypatch.setattr(widened_linear, "pin", lambda: "unpacked")
    _, widened = layers(torch.bfloat16)
    inputs = torch.randn(8, 64).bfloat16()
    wanted = widened(inputs)
    with default_dtype(torch.bfloat16):
        assert torch.equal(widened(inputs), wanted)


def test_many_rows_are_widened_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widened_linear, "MOST", 3)
    plain, widened = layers(torch.bfloat16)
    inputs = torch.randn(8, 64).bfloat16()
    found = widened_linear.multiply(inputs, widened.weight, widened.bias)
    exact = nn.functional.linear(inputs.float(), plain.weight.float(), plain.bias.float())
    torch.testing.assert_close(found.float(), exact, rtol=torch.finfo(torch.bfloat16).eps, atol=1e-6)


def test_layers_in_float32_and_of_other_kinds_stay() -> None:
    class Own(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(4, 4), Own(4, 4).bfloat16(), nn.Linear(4, 4, device="meta").bfloat16())
    assert use_for(model) == 0
    assert [type(layer) for layer in model] == [nn.Linear, Own, nn.Linear]
