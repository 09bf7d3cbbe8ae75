"""Calibrating small models, through the public path."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mistralrs_cli.calibration import calibrate, divergence
from mistralrs_cli.calibration.calibrate import Calibration, quantize_calibrated
from mistralrs_cli.calibration.progress import Progress
from mistralrs_cli.calibration.prompts import Prompts
from mistralrs_cli.calibration.sources import read_samples
from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading import load, load_processor, open_checkpoint
from mistralrs_cli.options import MediaPolicy, ModelOptions
from tests.checkpoints.fixtures import Written

WORDS = " ".join(f"Word {number} of a text about nothing." for number in range(160))


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A text file."""
    (tmp_path / "text.txt").write_text(WORDS)
    return str(tmp_path / "text.txt")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for this test."""
    monkeypatch.setenv("MISTRALRS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "calibration"


def options(folder: Path, **more: str) -> ModelOptions:
    return ModelOptions(model_id=str(folder), dtype="f32", cpu=True, **more)  # type: ignore[arg-type]


def quantized(folder: Path, target: Path, *files: str, isq: str = "4") -> tuple[str, ...]:
    chosen = options(folder, isq=isq)
    given = Calibration(files, tuple(read_samples(files)), 4096)
    return quantize_calibrated(open_checkpoint(chosen), chosen, target, given, MediaPolicy(), lambda label: None)


def measured(folder: Path, name: str, *files: str, **more: str) -> Progress:
    """The sums of a model, measured as ``name``."""
    chosen = options(folder, **more)
    checkpoint = open_checkpoint(chosen)
    prompts = Prompts(checkpoint.family, checkpoint.name, load_processor(checkpoint, chosen), MediaPolicy())
    progress = Progress.of({"name": name})
    pieces = prompts.pieces(read_samples(files), 4096)
    calibrate.measure(checkpoint, chosen, prompts, pieces, progress, lambda label: None)
    return progress


def test_a_model_is_calibrated_on_text_and_images(
    written: Written, tmp_path: Path, text: str, samples: Path, cache: Path
) -> None:
    pictures = [str(samples / name) for name in ("chart.png", "shapes.png")]
    notes = quantized(written("qwen3_vl"), tmp_path / "small", text, *pictures, isq="3")
    assert any(note.startswith("calibrated with") for note in notes)
    assert any("without calibration" in note and "held-out" in note for note in notes)
    assert load(*opened(tmp_path / "small")).notes == ()
    assert not list(cache.iterdir())


def opened(folder: Path) -> Any:
    chosen = options(folder)
    return open_checkpoint(chosen), chosen


def test_a_folder_that_is_there_is_refused_before_anything_is_measured(
    written: Written, tmp_path: Path, text: str, cache: Path
) -> None:
    with pytest.raises(OptionError, match="already exists"):
        quantized(written("llama"), tmp_path, text)
    assert not cache.exists()


@pytest.mark.parametrize(("isq", "said"), [("8", "changes nothing"), ("nf4", "changes nothing"), ("auto", "No quant")])
def test_types_that_calibration_cannot_change_are_refused_first(
    written: Written, tmp_path: Path, text: str, cache: Path, isq: str, said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        quantized(written("llama"), tmp_path / "small", text, isq=isq)
    assert not cache.exists()


def test_a_killed_run_goes_on(written: Written, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.calibration.prompts.BATCH", 512)
    whole = measured(written("llama"), "whole", text)
    assert whole.pieces > 2
    real = divergence.run
    ran: list[Any] = []

    def killed(*arguments: Any) -> Any:
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(real(*arguments))

    monkeypatch.setattr(calibrate, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        measured(written("llama"), "killed", text)
    monkeypatch.setattr(calibrate, "run", real)
    assert Progress.of({"name": "killed"}).pieces == 2
    again = measured(written("llama"), "killed", text)
    assert again.pieces == whole.pieces
    assert all(torch.equal(again.sums.squares[name], whole.sums.squares[name]) for name in whole.sums.squares)


def test_a_written_slice_is_not_cut_again(tmp_path: Path) -> None:
    chosen = options(tmp_path / "whole", matformer_config_path="gemma3n.csv", matformer_slice_name="E2B")
    assert calibrate.of_written(chosen, tmp_path / "small") == options(tmp_path / "small")


def test_layers_that_do_not_fit_are_read_from_the_disk(written: Written, text: str) -> None:
    inside = measured(written("qwen3_vl_moe"), "inside", text).sums
    outside = measured(written("qwen3_vl_moe"), "outside", text, device_layers="disk:2").sums
    assert inside.squares.keys() == outside.squares.keys()
    assert all(torch.allclose(inside.squares[name], outside.squares[name]) for name in inside.squares)
    assert all(torch.equal(inside.tokens[name], outside.tokens[name]) for name in inside.tokens)


def test_what_does_not_fit_spills_to_the_disk(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, chosen = opened(written("llama"))
    assert calibrate.spilled(checkpoint, chosen) == chosen
    monkeypatch.setattr("mistralrs_cli.loading.memory_plan.free_memory", lambda device: 1 << 10)
    assert calibrate.spilled(checkpoint, chosen) == replace(chosen, max_memory="disk:1GiB")


@pytest.mark.parametrize("name", ["qwen3_vl_moe", "gemma4_moe", "llama4", "qwen3_5_moe"])
def test_every_expert_is_watched(written: Written, name: str, text: str) -> None:
    sums = measured(written(name), name, text).sums
    stacks = {name: seen for name, seen in sums.tokens.items() if seen.dim() == 1}
    assert stacks
    for stack, seen in stacks.items():
        assert sums.squares[stack].shape[0] == len(seen)
        if stack.endswith("gate_up_proj"):
            assert torch.equal(seen, stacks[stack.replace("gate_up", "down")])
            assert int(seen.sum()) > 0


def test_experts_that_see_too_little_are_counted(written: Written, tmp_path: Path, text: str) -> None:
    (tmp_path / "short.txt").write_text("only a few words here")
    notes = quantized(written("qwen3_vl_moe"), tmp_path / "small", str(tmp_path / "short.txt"))
    assert any("experts have seen too few tokens" in note for note in notes)
