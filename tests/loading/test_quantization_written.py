"""Quantized checkpoints that are written, and copies that are kept."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from mistralrs_cli import loading
from mistralrs_cli.errors import OptionError, QuantizationError
from mistralrs_cli.loading import LoadedModel, load, open_checkpoint, plan, quantize
from mistralrs_cli.loading.quantization import apply
from mistralrs_cli.loading.quantization.aligned import save_aligned
from mistralrs_cli.loading.quantization.formats import FORMATS
from mistralrs_cli.loading.quantization.kernel_copy import open_kernel_copy, write_kernel_copy
from mistralrs_cli.loading.quantization.layers import QuantizedModule
from mistralrs_cli.loading.quantization.tiles import GroupTiles
from mistralrs_cli.loading.quantization.types import LAYOUT, QuantType, parse_type
from mistralrs_cli.loading.quantization.writer import MANIFEST, cached_copies, is_whole
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.builders import build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny checkpoint on disk."""
    return cache(lambda name: build(name, tmp_path_factory.mktemp(name)))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, in which even tiny copies are kept."""
    monkeypatch.setenv("MISTRALRS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(apply, "WORTH_KEEPING", 0)
    return tmp_path / "cache" / "quantized"


def options(folder: Path, **more: str) -> ModelOptions:
    return ModelOptions(model_id=str(folder), cpu=True, **{"dtype": "f32", **more})  # type: ignore[arg-type]


def loaded(folder: Path, **more: str) -> LoadedModel:
    chosen = options(folder, **more)
    return load(open_checkpoint(chosen), chosen)


def written(folder: Path, target: Path, **more: str) -> tuple[str, ...]:
    chosen = options(folder, **more)
    return quantize(open_checkpoint(chosen), chosen, target)


def logits(model: nn.Module) -> torch.Tensor:
    ids = torch.randint(6, 250, (1, 24), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids).logits
    return found


@pytest.mark.parametrize(("family", "bits"), [("llama", "3"), ("gemma4", "4"), ("qwen3_vl", "6"), ("llava", "8")])
def test_a_written_checkpoint_loads_without_quantizing_again(
    folder: Callable[[str], Path], tmp_path: Path, family: str, bits: str
) -> None:
    notes = written(folder(family), tmp_path / "small", isq=bits)
    assert "became" in notes[0]
    assert str(tmp_path / "small") in notes[-1]
    found = loaded(tmp_path / "small")
    assert found.notes == ()
    assert any(isinstance(module, QuantizedModule) for module in found.model.modules())
    assert torch.equal(logits(found.model), logits(loaded(folder(family), isq=bits).model))
    assert found.processor.chat_template


def test_a_tied_head_survives_being_written(folder: Callable[[str], Path], tmp_path: Path) -> None:
    source = tmp_path / "tied"
    build("llama", source)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    from safetensors.torch import load_file, save_file

    tensors = load_file(source / "model.safetensors")
    tensors.pop("lm_head.weight")
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    written(source, tmp_path / "small", isq="4")
    found = loaded(tmp_path / "small").model
    assert torch.equal(logits(found), logits(loaded(source, isq="4").model))
    assert found.get_input_embeddings().head == (found.get_output_embeddings(),)
    assert not any("embed_tokens" in name for name in found.state_dict()), "there is one copy"


def test_a_tied_model_of_version_2_still_loads(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """Its head had a copy of its own, and its embedding was as the original's."""
    from safetensors.torch import load_file, save_file

    written(folder("llama"), tmp_path / "small", isq="8")
    tensors = load_file(tmp_path / "small" / "model.safetensors")
    wanted = logits(loaded(tmp_path / "small").model)
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    types = config["quantization_config"]["types"]
    kind = FORMATS[QuantType(types.pop("model.embed_tokens.weight"))]
    parts = {name: tensors.pop(name) for name in list(tensors) if name.startswith("model.embed_tokens.")}
    stored = {name.removeprefix("model.embed_tokens.weight_"): tensor for name, tensor in parts.items()}
    rows, columns = config["vocab_size"], config["hidden_size"]
    tensors["model.embed_tokens.weight"] = kind.unpack(stored, rows, columns, torch.float32)
    save_file(tensors, tmp_path / "small" / "model.safetensors", metadata={"format": "pt"})
    rewritten(tmp_path / "small", version=2, types=types)
    found = loaded(tmp_path / "small").model
    assert torch.equal(logits(found), wanted)
    assert type(found.get_input_embeddings()) is nn.Embedding


def test_what_is_written_is_as_narrow_as_it_was(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """A bfloat16 checkpoint that a CPU widens to float32 is written in bfloat16, but for what it has in float32."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    source = tmp_path / "narrow"
    build("llama", source)
    whole = load_file(source / "model.safetensors")
    tensors = {name: tensor.bfloat16() for name, tensor in whole.items()} | {
        "model.norm.weight": whole["model.norm.weight"]
    }
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    written(source, tmp_path / "small", isq="8")
    with safe_open(tmp_path / "small" / "model.safetensors", "pt") as file:
        assert file.get_slice("model.layers.0.input_layernorm.weight").get_dtype() == "BF16"
        assert file.get_slice("model.norm.weight").get_dtype() == "F32"
        assert file.get_slice("model.layers.0.mlp.up_proj.weight_scale").get_dtype() == "F32"


def test_a_folder_that_is_there_is_left_alone(folder: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="already exists"):
        written(folder("llama"), tmp_path, isq="4")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_written_checkpoint_is_not_quantized_again(folder: Callable[[str], Path], tmp_path: Path) -> None:
    written(folder("llama"), tmp_path / "small", isq="6")
    assert loaded(tmp_path / "small", quant="6").notes == ()
    with pytest.raises(QuantizationError, match=r"already quantized \(6 bits, mistralrs\)"):
        loaded(tmp_path / "small", quant="4")
    asked = options(tmp_path / "small", quant="4")
    with pytest.raises(QuantizationError, match=r"already quantized \(6 bits, mistralrs\)"):
        plan(open_checkpoint(asked), asked)
    with pytest.raises(QuantizationError, match="already quantized"):
        written(tmp_path / "small", tmp_path / "smaller", isq="6")


def test_quant_keeps_a_copy_and_uses_it(folder: Callable[[str], Path], kept: Path) -> None:
    first = loaded(folder("llama"), quant="5")
    assert "kept for the next --quant 5" in first.notes[-1]
    (copy,) = cached_copies()
    assert copy.folder.parent == kept
    assert copy.option == "--quant 5"
    assert copy.size >= sum(file.stat().st_size for file in copy.folder.glob("*.safetensors")) > 0
    second = loaded(folder("llama"), quant="5")
    assert "kept by an earlier run" in second.notes[0]
    assert torch.equal(logits(first.model), logits(second.model))
    shutil.rmtree(copy.folder)
    assert cached_copies() == []


def test_isq_neither_keeps_nor_uses_a_copy(folder: Callable[[str], Path], kept: Path) -> None:
    loaded(folder("llama"), isq="5")
    assert cached_copies() == []
    loaded(folder("llama"), quant="5")
    assert "became" in loaded(folder("llama"), isq="5").notes[0]


def test_copies_are_told_apart(tmp_path: Path, kept: Path) -> None:
    source = tmp_path / "model"
    build("llama", source)
    loaded(source, quant="5")
    assert "became" in loaded(source, quant="6").notes[0]
    (source / "model.safetensors").touch()  # written anew, as far as anyone can tell
    assert "became" in loaded(source, quant="5").notes[0]
    assert len(cached_copies()) == 3


def test_a_damaged_copy_is_made_anew(folder: Callable[[str], Path], kept: Path) -> None:
    loaded(folder("llama"), quant="5")
    (copy,) = cached_copies()
    weights = copy.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert not is_whole(copy.folder)
    assert "became" in loaded(folder("llama"), quant="5").notes[0]
    assert is_whole(copy.folder)


def test_a_write_that_breaks_off_leaves_nothing(
    folder: Callable[[str], Path], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mistralrs_cli.loading.quantization.writer.save_tensors", full)
    found = loaded(folder("llama"), quant="5")
    assert "not kept" in found.notes[-1]
    assert "No space left" in found.notes[-1]
    assert list(kept.iterdir()) == []


def test_a_cache_that_cannot_be_written_costs_the_copy_only(
    folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "WORTH_KEEPING", 0)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MISTRALRS_CACHE", str(tmp_path / "file"))
    found = loaded(folder("llama"), quant="5")
    assert "not kept" in found.notes[-1]
    assert logits(found.model).isfinite().all()


def test_every_file_is_in_the_manifest(folder: Callable[[str], Path], tmp_path: Path) -> None:
    written(folder("llama"), tmp_path / "small", isq="4")
    files = {file.name for file in (tmp_path / "small").iterdir()} - {MANIFEST}
    assert set(json.loads((tmp_path / "small" / MANIFEST).read_text())["files"]) == files


def test_auto_takes_full_precision_if_it_fits_else_the_most_bits_that_do(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistralrs_cli.loading.memory_plan import plan_placement as real

    assert loaded(folder("llama"), isq="auto").notes == ("--isq auto: full precision fits",)

    def tight(checkpoint: object, options: ModelOptions, *rest: object) -> object:
        layout = real(checkpoint, options, *rest)  # type: ignore[arg-type]
        fits = options.isq in fitting
        available = dict.fromkeys(layout.demand, 10**12 if fits else 1)
        return replace(layout, available=available)

    monkeypatch.setattr(loading, "plan_placement", tight)
    fitting = {"5", "q5k", "4"}
    found = loaded(folder("llama"), isq="auto")
    assert found.notes[0] == "--isq auto: 5 bits are the most that fit"
    assert "in q5k" in found.notes[1]
    fitting = {"q4k", "3"}
    assert loaded(folder("llama"), isq="auto").notes[0] == "--isq auto: q4k is the most that fits"


def test_auto_goes_from_more_memory_to_less() -> None:
    sizes = [parse_type(kind).type.memory_bits for kind in loading.AUTO]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_auto_for_experts_alone_counts_the_rest_in_full(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistralrs_cli.loading.memory_plan import plan_placement as real

    source = folder("qwen3_vl_moe")

    def needed(**more: str) -> int:
        layout = plan(open_checkpoint(options(source)), options(source, **more))
        assert layout is not None
        return layout.need.total

    available = needed(isq="5", isq_organization="moqe")
    assert needed(isq="8") < needed(isq="6", isq_organization="moqe")

    def tight(*arguments: object) -> object:
        layout = real(*arguments)  # type: ignore[arg-type]
        return replace(layout, available=dict.fromkeys(layout.demand, available))

    monkeypatch.setattr(loading, "plan_placement", tight)
    found = loaded(source, isq="auto", isq_organization="moqe")
    assert found.notes[0] == "--isq auto: 5 bits are the most that fit"
    assert "in q5k)" in found.notes[1]


def rewritten(folder: Path, **changes: object) -> None:
    """Change what a written checkpoint says of its quantization; ``None`` takes a word away."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    said = {**config["quantization_config"], **changes}
    config["quantization_config"] = {key: value for key, value in said.items() if value is not None}
    file.write_text(json.dumps(config))


def test_a_checkpoint_of_an_older_version_still_loads(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """Those of 0.1.0 have no version, and types that are stored today as they were then."""
    written(folder("llama"), tmp_path / "small", isq="int4")
    assert json.loads((tmp_path / "small" / "config.json").read_text())["quantization_config"]["version"] == LAYOUT
    wanted = logits(loaded(tmp_path / "small").model)
    rewritten(tmp_path / "small", version=None)
    assert torch.equal(logits(loaded(tmp_path / "small").model), wanted)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": LAYOUT + 1}, f"formats of version {LAYOUT + 1}, this one reads {LAYOUT}"),
        ({"types": {"model.layers.0.mlp.up_proj.weight": "iq9"}}, "iq9"),
        ({"version": "two"}, "formats of version two"),
    ],
)
def test_a_checkpoint_of_a_newer_version_is_refused_by_name(
    folder: Callable[[str], Path], tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    written(folder("llama"), tmp_path / "small", isq="6")
    rewritten(tmp_path / "small", **changes)
    for more in ({}, {"quant": "6"}):
        with pytest.raises(QuantizationError, match="written by a newer version of mistralrs") as raised:
            loaded(tmp_path / "small", **more)
        assert said in str(raised.value)
        assert "Upgrade" in (raised.value.hint or "")


def test_a_copy_of_an_older_version_is_made_anew(
    folder: Callable[[str], Path], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistralrs_cli.loading.quantization.writer.LAYOUT", LAYOUT - 1)
    loaded(folder("llama"), quant="5")
    monkeypatch.undo()
    monkeypatch.setenv("MISTRALRS_CACHE", str(kept.parent))
    monkeypatch.setattr(apply, "WORTH_KEEPING", 0)
    assert "became" in loaded(folder("llama"), quant="5").notes[0]
    assert len(cached_copies()) == 2
    assert "kept by an earlier run" in loaded(folder("llama"), quant="5").notes[0]


def test_the_order_of_kernels_is_kept_and_mapped(
    folder: Callable[[str], Path], kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a kept copy, and in the cache for a checkpoint that was written; a damaged file is made again."""
    wanted = logits(loaded(folder("llama"), quant="4").model)
    written(folder("llama"), tmp_path / "small", isq="4")
    assert any("this CPU's order" in note for note in loaded(tmp_path / "small").notes)
    (copy,) = cached_copies()
    (beside,) = copy.folder.glob("kernels-*.safetensors")
    (apart,) = (kept.parent / "kernels").glob("small-*.safetensors")
    rearrange = GroupTiles.rearrange

    def unwanted(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(GroupTiles, "rearrange", unwanted)
    for model in (loaded(folder("llama"), quant="4").model, loaded(tmp_path / "small").model):
        assert torch.equal(logits(model), wanted)
    monkeypatch.setattr(GroupTiles, "rearrange", rearrange)
    for file in (beside, apart):
        size = file.stat().st_size
        file.write_bytes(file.read_bytes()[:-100])
        source = {"quant": "4"} if file is beside else {}
        assert torch.equal(logits(loaded(folder("llama") if source else tmp_path / "small", **source).model), wanted)
        assert file.stat().st_size == size
    whole = open_kernel_copy(apart) or {}
    part = {name: whole[name].clone() for name in list(whole)[1:]}
    write_kernel_copy(part, apart)  # as of a model with layers on another device
    assert torch.equal(logits(loaded(tmp_path / "small").model), wanted)
    assert (open_kernel_copy(apart) or {}).keys() == whole.keys()
    assert len(list(copy.folder.glob("kernels-*"))) == len(list((kept.parent / "kernels").glob("*.safetensors"))) == 1


def test_a_kept_order_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    names = ["a-cpu-old", "a-cpu-new", "a-other-old", "a-b-cpu-old"]
    old, new, other_cpu, other_model = (tmp_path / f"{name}.safetensors" for name in names)
    tensors = {"tiles": torch.zeros(64, dtype=torch.uint8)}
    assert all(write_kernel_copy(tensors, file) for file in (old, other_cpu, other_model, new))
    assert sorted(tmp_path.iterdir()) == sorted([new, other_cpu, other_model])


def test_breaking_off_leaves_no_half_written_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object, file: Path) -> None:
        file.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr("mistralrs_cli.loading.quantization.kernel_copy.save_aligned", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_kernel_copy({"tiles": torch.zeros(64, dtype=torch.uint8)}, tmp_path / "a-cpu-new.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_written_tensors_begin_where_kernels_can_read_them(tmp_path: Path) -> None:
    from safetensors import safe_open

    tensors = {
        "odd": torch.arange(3, dtype=torch.bfloat16),
        "none": torch.empty(0, 4),
        "scalar": torch.tensor(2.5),
        "bytes": torch.arange(128, dtype=torch.uint8),
        "turned": torch.arange(64.0).view(8, 8).t(),
    }
    save_aligned(tensors, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(tensors)
        for name, tensor in tensors.items():
            found = file.get_tensor(name)
            assert found.dtype == tensor.dtype
            assert torch.equal(found, tensor)
            assert name not in ("bytes", "turned") or found.data_ptr() % 64 == 0
