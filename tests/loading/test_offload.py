"""Models spread over devices answer as they do on one: the disk and the CPU stand for every pair of devices."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import OptionError, OutOfMemory, TooManyMedia
from mistralrs_cli.families import Family
from mistralrs_cli.loading import LoadedModel, load, open_checkpoint, plan
from mistralrs_cli.loading.decoder_layers import decoder_layers
from mistralrs_cli.loading.device_map import device_map, skeleton
from mistralrs_cli.loading.devices import offload_root
from mistralrs_cli.loading.memory import cache_size
from mistralrs_cli.loading.model import configuration
from mistralrs_cli.loading.placement import Placement
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import BUILDERS
from tests.checkpoints.media import picture

pytestmark = pytest.mark.slow

Tiny = Callable[[str], LoadedModel]
SPREAD = ["llama", "llava", "gemma4", "qwen3_vl", "qwen3_5", "qwen3_vl_moe", "llama4"]


def options(model: LoadedModel, **more: Any) -> ModelOptions:
    return ModelOptions(model_id=model.name, dtype="f32", cpu=True, **more)


def spread(model: LoadedModel, **more: Any) -> LoadedModel:
    chosen = options(model, **more)
    return load(open_checkpoint(chosen), chosen)


def answer(model: LoadedModel, images: int = 1) -> str:
    media = [picture(seed) for seed in range(images if "image" in model.family.modalities else 0)]
    with Engine(model) as engine:
        message = Message("user", (*media, Text("what")))
        return engine.generate([message], Sampling(max_tokens=8, temperature=0.0, ignore_eos=True)).text


def resting(model: LoadedModel) -> set[str]:
    """The weights that are in no memory."""
    return {name for name, weight in model.model.named_parameters() if weight.device.type == "meta"}


@pytest.mark.parametrize("name", [name for name in SPREAD if name in BUILDERS])
def test_layers_on_the_disk_change_no_answer(tiny: Tiny, name: str) -> None:
    whole = tiny(name)
    layers = whole.model.config.get_text_config(decoder=True).num_hidden_layers
    model = spread(whole, device_layers=f"cpu:1;disk:{layers - 1}")
    stack = decoder_layers(model.model)
    assert resting(model)
    assert all(int(name.removeprefix(f"{stack}.").split(".")[0]) >= 1 for name in resting(model))
    assert model.device == torch.device("cpu")
    assert answer(model) == answer(whole)


def test_files_on_the_disk_go_with_the_model(tiny: Tiny) -> None:
    gc.collect()
    before = set(offload_root().iterdir())
    model = spread(tiny("qwen3_vl_moe"), device_layers="cpu:1;disk:1")
    (folder,) = set(offload_root().iterdir()) - before
    assert list(folder.iterdir())  # its experts are not as they lie in the checkpoint
    del model
    gc.collect()
    assert not folder.exists()


def test_a_topology_places_layers_and_single_weights(tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("2: {device: disk}\n'/layers.0.mlp.down_proj/': {device: disk}\n")
    whole = tiny("llama")
    model = spread(whole, topology=str(file))
    assert {name.removeprefix("model.layers.").partition(".")[0] for name in resting(model)} == {"0", "2"}
    assert {name for name in resting(model) if ".0." in name} == {"model.layers.0.mlp.down_proj.weight"}
    assert answer(model) == answer(whole)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("'/nothing/': {device: cpu}", "matches no weight"),
        ("'/vision/': {device: disk}", "cannot put model.vision"),
        ("0-9: {device: cpu}", "layer 8, but the model has 2 text layers"),
        ("0-1: {device: 'cuda[0]'}", "only the CPU"),
    ],
)
def test_topologies_that_cannot_be(tiny: Tiny, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(f"1: {{device: disk}}\n{text}")
    with pytest.raises(OptionError, match=says):
        spread(tiny("llava"), topology=str(file))


def test_quantized_layers_rest_on_the_disk_as_well(tiny: Tiny) -> None:
    whole = tiny("gemma4")
    model = spread(whole, device_layers="cpu:1;disk:3", isq="6")  # of which there is no second order
    assert resting(model) or any(buffer.device.type == "meta" for buffer in model.model.buffers())
    assert answer(model) == answer(spread(whole, isq="6"))


def test_a_topology_quantizes_layers_and_single_weights(tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("0-1: {isq: 8}\n/up_proj/: {isq: none}\n/layers.2.mlp.down_proj/: {isq: 4}\n")
    whole = tiny("llama")
    model = spread(whole, topology=str(file))
    kinds = {name: type(module).__name__ for name, module in model.model.named_modules()}
    quantized = {name.removeprefix("model.layers.") for name, kind in kinds.items() if kind == "QuantizedLinear"}
    attention = {f"0.self_attn.{part}_proj" for part in "qkvo"}
    layout = plan(open_checkpoint(options(whole)), options(whole))
    smaller = plan(open_checkpoint(options(whole)), options(whole, topology=str(file)))
    assert {"0.mlp.down_proj", "0.mlp.gate_proj", "2.mlp.down_proj"} <= quantized
    assert quantized <= {"0.mlp.down_proj", "0.mlp.gate_proj", "2.mlp.down_proj"} | attention
    assert layout is not None
    assert smaller is not None
    assert smaller.need.layers[0] < layout.need.layers[0] / 2
    assert smaller.need.layers[1] == layout.need.layers[1]
    assert answer(model)


def test_limits_of_memory_send_layers_to_the_disk_only_if_it_is_named(tiny: Tiny) -> None:
    whole = tiny("llama")
    layout = plan(open_checkpoint(options(whole)), options(whole))
    assert layout is not None
    assert layout.placement == Placement(("cpu",) * 3, "cpu")
    assert layout.shortage == 0
    tight = f"{(layout.need.total - layout.need.layers[0] // 2) // 1024}KiB"
    with pytest.raises(OutOfMemory, match="too little") as caught:
        spread(whole, max_memory=tight)
    assert "--quant 8" in (caught.value.hint or "")
    model = spread(whole, max_memory=f"cpu:{tight};disk:1GiB")
    assert model.placement.layers == ("cpu", "disk", "disk")
    assert "not all of the model fits on cpu: text layers 0 on cpu, 1 to 2 on disk" in model.notes[-1]
    assert answer(model) == answer(whole)


@pytest.mark.parametrize("name", ["llama", "llava", "gemma4", "qwen3_vl"])
def test_planned_weights_are_the_loaded_ones(tiny: Tiny, name: str) -> None:
    whole = tiny(name)
    layout = plan(open_checkpoint(options(whole)), options(whole))
    assert layout is not None
    loaded = {weight.data_ptr(): weight.nbytes for weight in whole.model.parameters()}
    buffers = sum(buffer.nbytes for key, buffer in whole.model.named_buffers() if key in whole.model.state_dict())
    assert layout.need.weights == sum(loaded.values()) + buffers
    layers = whole.model.get_submodule(decoder_layers(whole.model))
    assert list(layout.need.layers) == [
        sum(weight.nbytes for weight in layer.state_dict().values()) for layer in layers
    ]


@pytest.mark.parametrize("name", ["llama", "gemma4", "qwen3_vl", "qwen3_5"])
def test_the_planned_cache_is_the_real_one(tiny: Tiny, name: str) -> None:
    whole = tiny(name)
    ids = torch.full((3, 40), 9)
    with torch.no_grad():
        cache = whole.model(input_ids=ids, use_cache=True).past_key_values
    real = []
    for layer in cache.layers:
        states = [getattr(layer, key, None) for key in ("keys", "values")]
        for group in ("conv_states", "recurrent_states"):
            states += list((getattr(layer, group, None) or {}).values())
        real.append(sum(state.nbytes for state in states if state is not None))
    text = whole.family.text_config
    planned = cache_size(text, 40, 3, 4, text["num_hidden_layers"])
    assert [size for size in planned if size] == pytest.approx([size for size in real if size], rel=0.05)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_family_can_be_spread_over_cards(tiny: Tiny, name: str) -> None:
    """By the map alone: every weight has a place, towers and head stay together, layers go where they should."""
    import transformers

    whole = tiny(name)
    family: Family = whole.family
    config = configuration(open_checkpoint(options(whole)), Path(whole.name), options(whole))
    model = skeleton(getattr(transformers, family.automodel), config, trust_remote_code=False)
    stack, count = decoder_layers(model), config.get_text_config(decoder=True).num_hidden_layers
    assert not any(word in stack for word in family.towers)
    found = device_map(model, Placement(("cuda:1",) * (count - 1) + ("cpu",), "cuda:0"))
    assert {place for key, place in found.items() if not key.startswith(f"{stack}.")} == {0}
    assert [found[f"{stack}.{number}"] for number in range(count)] == [1] * (count - 1) + ["cpu"]
    for key in model.state_dict():
        assert any(key == place or key.startswith(f"{place}.") for place in found), key


def test_parts_of_a_layer_rest_but_do_not_compute_elsewhere(tiny: Tiny) -> None:
    whole = tiny("llama")
    cards = Placement(("cuda:0", "cuda:0", "cuda:1"), "cuda:0", (("layers.0.mlp", "cpu"),))
    found = device_map(whole.model, cards)
    assert found["model.layers.0.mlp.up_proj"] == "cpu"
    assert found["model.layers.0.self_attn"] == found["model.layers.1"] == 0
    assert "model.layers.0" not in found
    for pattern, device in (("layers.2.mlp", "cpu"), ("layers.0.mlp", "cuda:1"), ("lm_head", "cpu")):
        with pytest.raises(OptionError, match="cannot put"):
            device_map(whole.model, Placement(cards.layers, "cuda:0", ((pattern, device),)))


def test_more_pictures_than_planned_for_are_refused(tiny: Tiny) -> None:
    model = spread(tiny("llava"), max_num_images=2)
    assert answer(model, images=2)
    with pytest.raises(TooManyMedia, match="holds 3 images, but --max-num-images is 2"):
        answer(model, images=3)
