"""Which way to multiply is chosen by measuring, kept, and pinned; every way gives the same product."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import linear

from mistralrs_cli.cli import checkup
from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading.quantization import QuantType, kernel_pin, kernels, parse_quantization
from mistralrs_cli.loading.quantization.formats import FORMATS
from mistralrs_cli.loading.quantization.kernel_pin import Way
from mistralrs_cli.loading.quantization.kernels import KernelChoices
from mistralrs_cli.options import ModelOptions

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "pin", lambda: None)


def timed(monkeypatch: pytest.MonkeyPatch, **spent: float) -> list[str]:
    """Have each way take so many seconds; which ways were measured."""
    measured: list[str] = []

    def seconds(run: object) -> float:
        way = str(getattr(run, "way", ""))
        measured.append(way)
        return spent[way]

    monkeypatch.setattr(kernels, "seconds", seconds)
    return measured


class Run:
    """A way to multiply that says its name."""

    def __init__(self, way: Way, number: float) -> None:
        self.way, self.number = way, number

    def __call__(self) -> torch.Tensor:
        return torch.tensor(self.number)


WAYS: dict[Way, Run] = {"packed": Run("packed", 1.0), "unpacked": Run("unpacked", 2.0)}


def product(choices: KernelChoices, tokens: int) -> float:
    return float(choices.multiply("Int8", torch.zeros(tokens, 8), 16, WAYS))


def test_the_faster_way_is_taken_by_rows_of_inputs_and_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = KernelChoices(tmp_path / "kernels" / "cpu.json")
    measured = timed(monkeypatch, packed=2.0, unpacked=1.0)
    assert product(choices, 1) == product(choices, 31) == 1.0
    assert measured == []
    assert product(choices, 64) == product(choices, 100) == product(choices, 127) == 2.0
    assert len(measured) == 4
    timed(monkeypatch, packed=1.0, unpacked=0.95)
    assert product(choices, 128) == 1.0, "a difference this small is noise"
    assert product(choices, 64) == 2.0
    kept = json.loads(choices.file.read_text())
    assert sorted(kept.values()) == ["packed", "unpacked"]
    again = KernelChoices(choices.file)
    measured = timed(monkeypatch)
    assert product(again, 99) == 2.0
    assert measured == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"Int8 16x8 float32 64 rows 1 threads": "magic"}'])
def test_a_damaged_file_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    file = tmp_path / "cpu.json"
    file.write_text(content)
    measured = timed(monkeypatch, packed=2.0, unpacked=1.0)
    assert product(KernelChoices(file), 64) == 2.0
    assert len(measured) == 4


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kernels").write_text("a file")
    timed(monkeypatch, packed=2.0, unpacked=1.0)
    choices = KernelChoices(tmp_path / "kernels" / "cpu.json")
    assert product(choices, 64) == 2.0
    assert len(choices) == 1


def test_a_way_can_be_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = timed(monkeypatch)
    monkeypatch.setattr(kernels, "pin", lambda: "unpacked")
    assert product(KernelChoices(tmp_path / "cpu.json"), 512) == 2.0
    assert measured == []


@pytest.mark.parametrize("kind", [QuantType.INT4, QuantType.Q4_K, QuantType.INT8, QuantType.Q8_0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_way_gives_the_product_of_the_stored_numbers(
    kind: QuantType, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (128, 256)
    how = FORMATS[kind]
    stored = how.pack(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    inputs = torch.randn(2, 20, 256, generator=torch.Generator().manual_seed(1)).to(dtype)
    wanted = linear(inputs.float(), how.unpack(stored, *shape, torch.float32))
    fastest = how.fastest(*shape, CPU)
    for way in ("packed", "unpacked"):
        monkeypatch.setattr(kernels, "pin", lambda way=way: way)
        if fastest is None:
            found = how.linear(inputs, stored, *shape)
        else:
            found = fastest.linear(inputs, fastest.rearrange(stored), *shape)
        assert found.dtype == dtype
        assert float((found.float() - wanted).norm() / wanted.norm()) < 0.01


def test_what_another_process_kept_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, packed=2.0, unpacked=1.0)
    one, other = KernelChoices(tmp_path / "cpu.json"), KernelChoices(tmp_path / "cpu.json")
    product(one, 32)
    product(other, 64)
    assert len(KernelChoices(tmp_path / "cpu.json")) == 2


@pytest.mark.parametrize(("value", "way"), [("packed", "packed"), ("unpacked", "unpacked"), ("", None)])
def test_the_environment_pins_a_way(value: str, way: Way | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel_pin.PIN, value)
    assert kernel_pin.pin.__wrapped__() == way


def test_an_unknown_way_is_refused_before_loading_and_shown_by_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel_pin.PIN, "fastest")
    kernel_pin.pin.cache_clear()  # which errors are never kept in
    try:
        with pytest.raises(OptionError, match="MISTRALRS_KERNELS says fastest"):
            parse_quantization(ModelOptions())
        finding = checkup.kernels()
    finally:
        kernel_pin.pin.cache_clear()
    assert finding.state == "fail"
    assert "fastest" in finding.text
