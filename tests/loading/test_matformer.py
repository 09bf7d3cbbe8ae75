"""MatFormer: tables are parsed, never evaluated; a slice equals the same layers and widths of the whole model."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from mistralrs_cli.errors import MatFormerError, OptionError
from mistralrs_cli.families import Prepared
from mistralrs_cli.loading import LoadedModel, check, load, open_checkpoint
from mistralrs_cli.loading.headers import read_headers
from mistralrs_cli.loading.matformer import Slice, numbers, read_table, requested_slice, sliced_config
from mistralrs_cli.loading.slicing import Cut, LazyWeight, runs, sliced_headers, sliced_weights
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.builders import build, gemma3n
from tests.checkpoints.media import picture, sound

pytestmark = pytest.mark.slow

TABLE = "matformer_configs/gemma3n.csv"
PUBLISHED = read_table(TABLE)
E2B = "Config for official E2B Model"
BLOCKS = "Config for E2.49B (block-level)"
NARROW, FULL = 8192, 16384


def write(folder: Path, name: str, content: object) -> str:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def test_the_published_table_is_read() -> None:
    assert list(PUBLISHED)[:2] == ["Main model", E2B]
    assert len(PUBLISHED) == 16
    assert PUBLISHED["Main model"] == Slice("Main model", (FULL,) * 35)
    assert PUBLISHED[E2B] == Slice(E2B, (NARROW,) * 30, (20, 21, 22, 23, 24))
    assert PUBLISHED[BLOCKS].widths == (NARROW,) * 20 + (FULL,) * 5 + (NARROW,) * 10


@pytest.mark.parametrize("name", ["gemma3n.csv", TABLE, f"./{TABLE}"])
def test_the_bundled_table_is_found_from_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_table(name) == PUBLISHED


def test_json_says_the_same(tmp_path: Path, root: Path) -> None:
    with (root / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert read_table(write(tmp_path, "t.json", rows)) == PUBLISHED
    own = [{"name": "a", "FFN Hidden Dims": [4, "2 * 3"], "Layers Skipped": [1]}]
    assert read_table(write(tmp_path, "u.json", own)) == {"a": Slice("a", (4, 6), (1,))}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("[2_048 * 8, 16]", (16384, 16)), ("[2 * 3 * 4]", (24,)), (" [1_0] ", (10,)), ("[]", ()), ([1, "2*2"], (1, 4))],
)
def test_lists_of_numbers_and_products(cell: Any, expected: tuple[int, ...]) -> None:
    assert numbers("here", cell) == expected


@pytest.mark.parametrize(
    "cell", ["8", "[2 ** 3]", "[1 + 1]", "[-4]", "[1.5]", "[__import__('os')]", "[1,]", "[_1]", [1.5], [True], None, 7]
)
def test_anything_else_is_no_list(cell: Any) -> None:
    with pytest.raises(OptionError, match="here"):
        numbers("here", cell)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "", "no slices"),
        ("t.csv", "a,b\n1,2\n", "no name"),
        ("t.csv", "name,FFN Hidden Dims\nx,\n", "not a list"),
        ("t.csv", 'name,FFN Hidden Dims\nx,"[0, 1]"\n', "above 0"),
        ("t.csv", 'name,FFN Hidden Dims\nx,"[1]"\nx,"[2]"\n', "two slices"),
        ("t.csv", 'name,FFN Hidden Dims,Layers Skipped\nx,"[1, 1]","[3]"\n', "add up"),
        ("t.csv", 'name,FFN Hidden Dims,Layers Skipped\nx,"[1, 1]","[1, 1]"\n', "add up"),
        ("t.csv", 'name\n"x', "comma-separated"),
        ("t.json", "{", "not JSON"),
        ("t.json", {"a": 1}, "list of objects"),
        ("t.json", [{"name": 3}], "no name"),
    ],
)
def test_broken_tables_say_where(tmp_path: Path, name: str, content: object, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        read_table(write(tmp_path, name, content))


def test_a_missing_table_and_one_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there is no file") as caught:
        read_table("nowhere.csv")
    assert "gemma3n.csv" in (caught.value.hint or "")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(OptionError, match="is not UTF-8 text"):
        read_table(str(tmp_path / "t.csv"))


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(OptionError, match=r"Matformer slice 'E2B' not found in config") as caught:
        requested_slice(ModelOptions(matformer_config_path=TABLE, matformer_slice_name="E2B"))
    assert all(name in (caught.value.hint or "") for name in PUBLISHED)


def test_a_name_needs_a_table_and_a_table_alone_changes_nothing() -> None:
    with pytest.raises(OptionError, match="needs --matformer-config-path") as caught:
        check(ModelOptions(matformer_slice_name=E2B))
    assert "gemma3n.csv" in (caught.value.hint or "")
    assert "whole model" in check(ModelOptions(matformer_config_path=TABLE))[0]
    assert check(ModelOptions(matformer_config_path=TABLE, matformer_slice_name=E2B)) == ()


E4B = {
    "model_type": "gemma3n",
    "text_config": {
        "num_hidden_layers": 35,
        "num_kv_shared_layers": 15,
        "intermediate_size": [FULL] * 35,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
        "activation_sparsity_pattern": [0.95] * 10 + [0.0] * 25,
    },
}


def test_the_official_slice_has_the_configuration_of_the_official_model() -> None:
    text = sliced_config(E4B, PUBLISHED[E2B])["text_config"]
    assert text["num_hidden_layers"] == 30
    assert text["num_kv_shared_layers"] == 10
    assert text["intermediate_size"] == [NARROW] * 30
    assert text["layer_types"] == (["sliding_attention"] * 4 + ["full_attention"]) * 6
    assert text["activation_sparsity_pattern"] == [0.95] * 10 + [0.0] * 20
    assert E4B["text_config"]["num_hidden_layers"] == 35  # type: ignore[index]


@pytest.mark.parametrize(
    ("model_slice", "says"),
    [
        (Slice("x", (8,) * 34), "34 widths and skips 0 layers, but the model has 35"),
        (Slice("x", (8,) * 36), "36 widths"),
        (Slice("x", (8,) * 34, (18,)), "Layers 18 and 19 are reserved"),
        (Slice("x", (8,) * 33, (19, 20)), "Layers 18 and 19 are reserved"),
        (Slice("x", (8,) * 34 + (FULL + 1,)), "16,385 wide feed-forward weights in layer 34, which has 16,384"),
    ],
)
def test_slices_that_do_not_fit_are_refused(model_slice: Slice, says: str) -> None:
    with pytest.raises(MatFormerError, match=says):
        sliced_config(E4B, model_slice)


def test_other_families_and_quantized_checkpoints_are_refused(tmp_path: Path) -> None:
    def slicing(config: Mapping[str, Any]) -> ModelOptions:
        write(tmp_path, "config.json", config)
        return ModelOptions(model_id=str(tmp_path), matformer_config_path=TABLE, matformer_slice_name=E2B)

    assert open_checkpoint(slicing(E4B)).config["text_config"]["num_hidden_layers"] == 30
    with pytest.raises(MatFormerError, match="no MatFormer slices"):
        open_checkpoint(slicing({**E4B, "model_type": "gemma4"}))
    with pytest.raises(MatFormerError, match="already quantized"):
        open_checkpoint(slicing({**E4B, "quantization_config": {"load_in_4bit": True}}))
    old = slicing({**E4B, "text_config": {"num_hidden_layers": 35, "num_kv_shared_layers": 15}})
    with pytest.raises(MatFormerError, match="no layer_types"):
        open_checkpoint(old)


class Spy:
    """A stored matrix that notes how much of it is read."""

    def __init__(self, height: int, width: int) -> None:
        self.matrix = torch.arange(float(height * width)).reshape(height, width)
        self.read: list[int] = []

    def get_shape(self) -> list[int]:
        return list(self.matrix.shape)

    def __getitem__(self, index: Any) -> torch.Tensor:
        part = self.matrix[index]
        self.read.append(part.numel())
        return part


def test_only_what_stays_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.loading.slicing.BLOCK", 4)
    spy = Spy(10, 12)
    cut = Cut("spy", rows=(range(6), range(8, 10)), columns=(range(3), range(9, 12)))
    found = LazyWeight(spy, cut)[...]
    rows, columns = [*range(6), 8, 9], [0, 1, 2, 9, 10, 11]
    assert found.equal(spy.matrix[rows][:, columns])
    assert max(spy.read) <= 4 * 3
    assert sum(spy.read) == found.numel() + 1  # one number tells the type


def test_headers_of_a_slice_say_what_it_holds(nested: Path) -> None:
    headers = sliced_headers(read_headers(nested), PUBLISHED[E2B])
    assert {name: entry.shape for name, entry in headers.items()} == {
        name: tuple(weight[...].shape) for name, weight in sliced_weights(nested, PUBLISHED[E2B]).items()
    }
    assert all(entry.size == 2 * entry.count for entry in headers.values() if entry.dtype == "BF16")


def test_runs() -> None:
    assert runs([0, 1, 2, 5, 6, 9]) == [(0, 3), (5, 7), (9, 10)]
    assert runs([4]) == [(4, 5)]


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gemma 3n on which the published slices fit."""
    ensure_importable()
    model, processor = gemma3n.build(gemma3n.NESTED)
    folder = tmp_path_factory.mktemp("gemma3n")
    model.bfloat16().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def emulate(decoder: Any, model_slice: Slice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a whole decoder compute what the slice should: narrower networks in the kept layers, none in the others."""
    for layer in model_slice.skipped:
        monkeypatch.setattr(decoder.layers[layer], "forward", lambda hidden, *rest, **more: hidden)
    for layer, width in zip(model_slice.kept, model_slice.widths, strict=True):
        network = decoder.layers[layer].mlp
        for name, cut in (
            ("gate_proj", (slice(width),)),
            ("up_proj", (slice(width),)),
            ("down_proj", (..., slice(width))),
        ):
            weight = getattr(network, name).weight
            monkeypatch.setattr(weight, "data", weight.data[cut])


@pytest.fixture(scope="module")
def whole(nested: Path) -> LoadedModel:
    options = ModelOptions(model_id=str(nested), cpu=True, dtype="f32")
    return load(open_checkpoint(options), options)


def slice_of(nested: Path, name: str, table: str = TABLE, **more: Any) -> LoadedModel:
    options = ModelOptions(
        model_id=str(nested), cpu=True, dtype="f32", matformer_config_path=table, matformer_slice_name=name, **more
    )
    return load(open_checkpoint(options), options)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_slice_equals_its_emulation(
    nested: Path, whole: LoadedModel, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Gemma3nTextConfig, Gemma3nTextModel

    model_slice = PUBLISHED[name]
    config = sliced_config(json.loads((nested / "config.json").read_text()), model_slice)
    prefix = "model.language_model."
    weights = {
        key.removeprefix(prefix): cut[...].float()
        for key, cut in sliced_weights(nested, model_slice).items()
        if key.startswith(prefix)
    }
    small = Gemma3nTextModel(Gemma3nTextConfig(**config["text_config"])).eval()
    small.load_state_dict(weights, assign=True)
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        given = whole.model.model.language_model(ids).last_hidden_state
        found = small(ids).last_hidden_state
        emulate(whole.model.model.language_model, model_slice, monkeypatch)
        expected = whole.model.model.language_model(ids).last_hidden_state
    assert (found - expected).abs().max() < 1e-5
    assert (name == "Main model") == bool(torch.allclose(found, given, atol=1e-5))


def logits(loaded: LoadedModel, prepared: Prepared) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = loaded.model(**prepared.inputs, use_cache=False).logits
    return found


MIXED = Slice("mixed", (NARROW, FULL, 100) * 10, (3, 21, 25, 26, 34))


def test_a_loaded_slice_sees_and_hears_like_its_emulation(
    nested: Path, whole: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"name": "mixed", "FFN Hidden Dims": list(MIXED.widths), "Layers Skipped": list(MIXED.skipped)}
    small = slice_of(nested, "mixed", write(tmp_path, "t.json", [row]))
    message = Message("user", (picture(), sound(), Text("What is this?")))
    prepared = whole.family.prepare(whole.processor, [message])
    assert {report.kind for report in prepared.media} == {"image", "audio"}
    found = logits(small, prepared)
    assert (found - logits(whole, prepared)).abs().max() > 1e-3
    emulate(whole.model.model.language_model, MIXED, monkeypatch)
    assert (found - logits(whole, prepared)).abs().max() < 1e-4


def test_a_slice_is_quantized_like_an_ordinary_checkpoint(tmp_path: Path) -> None:
    folder = build("gemma3n", tmp_path / "tiny")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    row = {"name": "narrow", "FFN Hidden Dims": [64] * text["num_hidden_layers"]}
    loaded = slice_of(folder, "narrow", write(tmp_path, "t.json", [row]), isq="4")
    network = loaded.model.model.language_model.layers[0].mlp
    assert type(network.up_proj).__name__ == "QuantizedLinear"
    assert (network.up_proj.out_features, network.down_proj.in_features) == (64, 64)
    assert loaded.end_tokens == {1}


def test_a_slice_is_quantized_and_spread_at_once(tmp_path: Path) -> None:
    """Layers of a slice are counted as the slice has them, on the disk and in a topology."""
    folder = build("gemma3n", tmp_path / "tiny")
    layers = json.loads((folder / "config.json").read_text())["text_config"]["num_hidden_layers"]
    row = {"name": "narrow", "FFN Hidden Dims": [64] * layers}
    table = write(tmp_path, "t.json", [row])
    bits = write(tmp_path, "bits.yaml", "0-1: {isq: 5}")
    spread = f"cpu:1;disk:{layers - 1}"
    near, far = (slice_of(folder, "narrow", table, isq="6", topology=bits, device_layers=on) for on in (None, spread))
    kinds = [layer.mlp.up_proj.quantized["weight"].kind.bits for layer in far.model.model.language_model.layers]
    assert kinds == [5] + [6] * (layers - 1)
    resting = {name for name, weight in far.model.named_parameters() if weight.device.type == "meta"}
    assert resting
    assert all(".layers." in name for name in resting)
    prepared = near.family.prepare(near.processor, [Message("user", (picture(), sound(), Text("What is this?")))])
    torch.testing.assert_close(logits(far, prepared), logits(near, prepared), rtol=1e-4, atol=1e-4)
