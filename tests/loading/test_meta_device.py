"""Making a model on the meta device without sympy."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mistralrs_cli.loading.meta_device import WithoutSympy

ROTARY: tuple[Callable[[], Tensor], ...] = (
    lambda: 1.0 / (10000.0 ** (torch.arange(0, 32, 2, dtype=torch.float) / 32)),
    lambda: 1.0 / (10000.0 ** (torch.arange(0, 32, 2, dtype=torch.int64).to(dtype=torch.float) / 32)),
    lambda: 2 * torch.exp(torch.arange(8) * -0.5),
    lambda: torch.pow(2.0, torch.arange(1, 3, dtype=torch.bfloat16)),
    lambda: torch.arange(3.5, requires_grad=True),
)


@pytest.mark.parametrize("made", ROTARY)
def test_tensors_are_as_a_cpu_makes_them(made: Callable[[], Tensor]) -> None:
    wanted = made()
    with WithoutSympy(), torch.device("meta"):
        found = made()
    assert found.is_meta
    assert (found.shape, found.dtype, found.requires_grad) == (wanted.shape, wanted.dtype, wanted.requires_grad)


def test_what_lies_elsewhere_is_computed() -> None:
    with WithoutSympy():
        assert torch.equal(torch.arange(3, device="cpu") * 2, torch.tensor([0, 2, 4]))
        assert torch.exp(torch.zeros(1)) == 1
        weight = torch.full((64,), 7.0)
        assert nn.init.normal_(weight).std() > 0
        assert torch.empty_like(weight, device="meta").is_meta


def test_weights_get_their_place() -> None:
    with WithoutSympy():
        with torch.device("meta"):
            embedding = nn.Embedding(4, 2, dtype=torch.float16)
        placed = torch.empty_like(embedding.weight, device="cpu")
        assert (placed.shape, placed.dtype, placed.device.type) == ((4, 2), torch.float16, "cpu")
        assert torch.empty_like(embedding.weight, device=None).is_meta
        turned = torch.empty(2, 4, device="meta").t()
        assert torch.empty_like(turned, device="cpu").stride() == turned.stride()
