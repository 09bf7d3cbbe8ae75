"""Phi-3.5 Vision: the architecture as published, its tiles, its published numbers of tokens and weights."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.runner.prefill import move
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import image_of, picture
from tests.families import reference_phi3_v as reference
from tests.families.reference_phi4mm import logits

Tiny = Callable[[str], LoadedModel]
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-3}


def ask(*media: DecodedMedia, text: str = "what is this") -> list[Message]:
    return [Message("user", (Text("look: "), *media, Text(text)))]


@pytest.mark.parametrize("media", [(), (picture(1, 120, 50),), (picture(1, 60, 90), picture(2, 30, 40))])
@torch.inference_mode()
def test_every_stage_equals_the_published_architecture(tiny: Tiny, media: tuple[DecodedMedia, ...]) -> None:
    loaded = tiny("phi3_v")
    folder = Path(loaded.name)
    config = json.loads((folder / "config.json").read_text())
    weights = {name: weight.double() for name, weight in load_file(folder / "model.safetensors").items()}
    model = copy.deepcopy(loaded.model).double()
    prepared = loaded.family.prepare(loaded.processor, ask(*media))
    inputs = {key: move(value, torch.device("cpu"), torch.float64) for key, value in prepared.inputs.items()}
    ids = inputs["input_ids"][0]
    embedded = weights["model.embed_tokens.weight"][ids].clone()
    if media:
        eye, settings = model.model.vision_embed_tokens, config["vision_config"]
        tile = inputs["pixel_values"][0, 1]
        seen = reference.tile_states(weights, settings, tile)
        torch.testing.assert_close(eye.features(tile[None])[0].flatten(0, 1), seen, **CLOSE)
        pictures = [
            reference.picture(weights, settings, tiles, tuple(size))
            for tiles, size in zip(inputs["pixel_values"], inputs["image_sizes"].tolist(), strict=True)
        ]
        ours = eye(inputs["pixel_values"], inputs["image_sizes"])
        torch.testing.assert_close(ours, torch.cat(pictures), **CLOSE)
        embedded[ids == config["image_token_id"]] = torch.cat(pictures)
    config |= {"partial_rotary_factor": 1.0}
    torch.testing.assert_close(model(**inputs).logits[0], logits(weights, config, embedded), **CLOSE)


@pytest.mark.parametrize("size", [(1344, 1008), (200, 100), (100, 200), (37, 400), (500, 500), (20, 19)])
@pytest.mark.parametrize("most", [4, 16])
def test_a_picture_is_tiled_as_published(size: tuple[int, int], most: int) -> None:
    ensure_importable()
    from mistralrs_cli.families.ports.phi3_v.image_processing import CLIP_MEAN, CLIP_STD, Phi3VImageProcessor

    shot = image_of(picture(3, *size)).image
    processor = Phi3VImageProcessor(num_crops=most)
    sheet = reference.sheet(shot, most, 336)
    assert np.array_equal(np.asarray(processor.tiled(shot)), sheet)
    made = processor.preprocess([shot])
    height, width = sheet.shape[:2]
    assert made["image_sizes"].tolist() == [[height, width]]
    tiles = made["pixel_values"][0]
    assert tiles.shape == (1 + height // 336 * width // 336, 3, 336, 336)
    last = (sheet[-336:, -336:] / 255 - CLIP_MEAN) / CLIP_STD
    np.testing.assert_allclose(tiles[-1].permute(1, 2, 0), last, atol=1e-5)
    assert made["num_img_tokens"] == [int((height // 336 * width // 336 + 1) * 144 + 1 + (height // 336 + 1) * 12)]


@pytest.mark.parametrize(("most", "tokens"), [(4, 757), (16, 1921)])
def test_a_landscape_takes_the_published_number_of_tokens(most: int, tokens: int) -> None:
    ensure_importable()
    from mistralrs_cli.families.ports.phi3_v.image_processing import Phi3VImageProcessor

    made = Phi3VImageProcessor(num_crops=most).preprocess([Image.new("RGB", (1344, 1008))])
    assert made["num_img_tokens"] == [tokens]


def test_the_real_configuration_gives_the_published_weights() -> None:
    """4.15 billion parameters."""
    ensure_importable()
    from mistralrs_cli.families.ports.phi3_v import Phi3VConfig, Phi3VForCausalLM

    rope = {"type": "su", "long_factor": [1.0] * 48, "short_factor": [1.0] * 48}
    config = Phi3VConfig(  # type: ignore[call-arg]
        max_position_embeddings=131072,
        original_max_position_embeddings=4096,
        rope_scaling=rope,
    )
    assert config.rope_parameters is not None
    assert config.rope_parameters["rope_type"] == "longrope"
    with torch.device("meta"):
        model = Phi3VForCausalLM(config)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(4.147, abs=0.002)
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    eye = "model.vision_embed_tokens."
    for name, shape in {
        "lm_head.weight": (32064, 3072),
        "model.embed_tokens.weight": (32064, 3072),
        "model.layers.31.self_attn.qkv_proj.weight": (9216, 3072),
        "model.layers.31.mlp.gate_up_proj.weight": (16384, 3072),
        eye + "glb_GN": (1, 1, 4096),
        eye + "sub_GN": (1, 1, 1, 4096),
        eye + "img_projection.0.weight": (3072, 4096),
        eye + "img_projection.2.bias": (3072,),
    }.items():
        assert shapes[name] == shape
    tower = {name.removeprefix(eye).replace("vision_model.", ""): shape for name, shape in shapes.items()}
    assert tower["img_processor.embeddings.position_embedding.weight"] == (577, 1024)
    assert tower["img_processor.encoder.layers.23.mlp.fc1.weight"] == (4096, 1024)


def test_several_pictures_are_brought_to_the_largest_width_and_height(tiny: Tiny) -> None:
    loaded = tiny("phi3_v")
    turns = [*ask(picture(1, 96, 40)), Message("assistant", (Text("seen"),)), *ask(picture(2, 40, 72))]
    prepared = loaded.family.prepare(loaded.processor, turns)
    assert [report.summary for report in prepared.media] == ["96×40 PNG → 96×72", "40×72 PNG → 96×72"]
    alone = loaded.family.prepare(loaded.processor, ask(picture(1, 96, 40)))
    assert alone.media[0].summary == "96×40 PNG"


@torch.inference_mode()
def test_an_answer_goes_on_past_the_length_where_positions_change(tiny: Tiny) -> None:
    """Every token is what a run of everything before it gives, without a cache and with its picture."""
    loaded = tiny("phi3_v")
    limit = loaded.family.rope_switch_length
    assert limit is not None
    shot = picture(1, 60, 50)
    empty = loaded.family.prepare(loaded.processor, ask(shot, text=""))
    messages = ask(shot, text="x" * (limit - empty.prompt_tokens - 4))
    prepared = loaded.family.prepare(loaded.processor, messages)
    ids, expected = prepared.inputs["input_ids"], []
    assert ids.shape[1] == limit - 4
    for _ in range(10):
        inputs = prepared.inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        expected.append(int(loaded.model(**inputs, use_cache=False).logits[0, -1].argmax()))
        ids = torch.cat([ids, torch.tensor([[expected[-1]]])], -1)
    sampling = Sampling(max_tokens=10, temperature=0, ignore_eos=True)
    with Engine(loaded, prefixes=4) as engine:
        beside = engine.stream(ask(text="short"), sampling)
        assert engine.generate(messages, sampling).text == loaded.tokenizer.decode(expected, skip_special_tokens=True)
        short = "".join(getattr(event, "text", "") for event in beside)
        assert engine.generate(ask(text="short"), sampling).text == short
