"""What is measured, and what a format makes of it."""

import pytest
import torch

from mistralrs_cli.calibration.sums import ENOUGH, LEAST, Sums
from mistralrs_cli.loading.quantization.formats import FORMATS
from mistralrs_cli.loading.quantization.types import QuantType

SEARCHED = [kind for kind in FORMATS if kind.value[:4] in ("q3k", "q4k", "q5k", "q6k", "iq4_")]
SEARCHED += [QuantType.INT2, QuantType.INT3, QuantType.INT4, QuantType.INT5, QuantType.INT6]


def test_importance_is_the_mean_square_with_a_mean_of_one() -> None:
    sums = Sums()
    sums.expect("w", 4)
    sums.add("w", torch.tensor([[[3.0, 1.0, 0.0, 1.0]] * ENOUGH]))
    sums.add("w", torch.tensor([[float("nan"), 1.0, 1.0, 1.0]]))
    assert int(sums.tokens["w"]) == ENOUGH
    assert torch.allclose(sums.importance()["w"], torch.tensor([36 / 11, 4 / 11, LEAST, 4 / 11]))


def test_an_expert_that_saw_too_little_changes_nothing() -> None:
    sums = Sums()
    sums.expect("experts.gate_up_proj", 3, 2)
    sums.add("experts.gate_up_proj", torch.tensor([[1.0, 3.0]] * ENOUGH), 1)
    sums.add("experts.gate_up_proj", torch.tensor([[1.0, 3.0]] * (ENOUGH - 1)), 2)
    sums.expect("experts.down_proj", 3, 2)
    found = sums.importance()["experts.gate_up_proj"]
    assert found[[0, 2]].tolist() == [[1.0, 1.0]] * 2
    assert torch.allclose(found[1], torch.tensor([0.2, 1.8]))
    assert sums.experts() == (3, 2, 0)
    assert torch.equal(Sums.of(sums.tensors()).importance()["experts.gate_up_proj"], found)


@pytest.mark.parametrize("kind", SEARCHED)
@pytest.mark.parametrize("columns", [512, 192])
def test_important_columns_lose_less(kind: QuantType, columns: int) -> None:
    """Blocks of 256 cross the rows of a matrix with 192 columns."""
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(64, columns, generator=random)
    importance = torch.rand(columns, generator=random).pow(6).add(1e-3)
    how = FORMATS[kind]

    def error(counts: torch.Tensor | None) -> float:
        found = how.unpack(how.pack(weight, counts), 64, columns, torch.float32)
        return float(((found - weight).square() * importance).sum())

    assert error(importance) < 0.95 * error(None)


@pytest.mark.parametrize("kind", FORMATS)
def test_equal_importance_is_none(kind: QuantType) -> None:
    weight = torch.randn(32, 256, generator=torch.Generator().manual_seed(0))
    plain, weighed = FORMATS[kind].pack(weight), FORMATS[kind].pack(weight, torch.ones(256))
    assert all(torch.equal(plain[part], weighed[part]) for part in plain)
