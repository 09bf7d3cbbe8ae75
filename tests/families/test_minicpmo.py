"""MiniCPM-o 2.6: the architecture as published, its slices, its published weights."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mistralrs_cli.engine.runner.prefill import move
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import DecodedMedia, Message, Text
from tests.checkpoints.media import image_of, picture, sound
from tests.families import reference_minicpmo as reference

Tiny = Callable[[str], LoadedModel]
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-3}
MIXES: dict[str, tuple[DecodedMedia, ...]] = {
    "text": (),
    "pictures": (picture(1, 130, 60), picture(2, 40, 50)),
    "sounds": (sound(2.3), sound(0.5, 300.0)),
    "both": (sound(1.1), picture(3, 90, 90)),
}


@pytest.mark.parametrize("mix", MIXES)
@torch.inference_mode()
def test_every_stage_equals_the_published_architecture(tiny: Tiny, mix: str) -> None:
    loaded = tiny("minicpmo")
    folder = Path(loaded.name)
    config = json.loads((folder / "config.json").read_text())
    weights = {name: weight.double() for name, weight in load_file(folder / "model.safetensors").items()}
    model = copy.deepcopy(loaded.model).double()
    prepared = loaded.family.prepare(loaded.processor, [Message("user", (*MIXES[mix], Text("what is this")))])
    inputs = {key: move(value, torch.device("cpu"), torch.float64) for key, value in prepared.inputs.items()}
    ids = inputs["input_ids"][0]
    embedded = weights["llm.model.embed_tokens.weight"][ids].clone()
    if "tgt_sizes" in inputs:
        sizes = inputs["tgt_sizes"].tolist()
        parts = inputs["pixel_values"][0].split([14 * rows * columns for rows, columns in sizes], -1)
        settings = config["vision_config"]
        states = [
            reference.slice_states(weights, settings, part, *size) for part, size in zip(parts, sizes, strict=True)
        ]
        found = model.vpm(inputs["pixel_values"], target_sizes=inputs["tgt_sizes"], use_vit_merger=False)
        torch.testing.assert_close(found.last_hidden_state[0], torch.cat(states), **CLOSE)
        tokens = [reference.resampled(weights, state, *size) for state, size in zip(states, sizes, strict=True)]
        ours = model.image_states(inputs["pixel_values"], inputs["tgt_sizes"]).flatten(0, 1)
        torch.testing.assert_close(ours, torch.cat(tokens), **CLOSE)
        embedded[ids == loaded.processor.image_token_id] = torch.cat(tokens)
    if "audio_frames" in inputs:
        heard = []
        frames = inputs["audio_frames"].tolist()
        ours = model.audio_states(inputs["input_features"], inputs["audio_frames"])
        for window, features, count in zip(ours, inputs["input_features"], frames, strict=True):
            spoken = reference.audio_states(weights, config["audio_config"], features[:, :count], 1.0)
            if count == max(frames):  # a shorter one's last frames hear the padding of the convolutions
                torch.testing.assert_close(window[: len(spoken)], spoken, **CLOSE)
            heard.append(reference.pooled(weights, window[: len(spoken)], 2))
        found = model.audio_tokens(inputs["input_features"], inputs["audio_frames"])
        torch.testing.assert_close(found, torch.cat(heard), **CLOSE)
        embedded[ids == loaded.processor.audio_token_id] = torch.cat(heard)
    torch.testing.assert_close(model(**inputs).logits[0], reference.logits(weights, config, embedded), **CLOSE)


def test_pictures_are_sliced_as_published() -> None:
    """The values of another engine's tests, and a slice's place in its picture."""
    ensure_importable()
    from mistralrs_cli.families.ports.minicpmo.image_processing import MiniCPMOImageProcessor

    processor = MiniCPMOImageProcessor()
    assert processor.grid(896, 448) == (2, 1)
    assert processor.grid(448, 896) == (1, 2)
    assert processor.grid(448, 448) is None
    assert processor.fitting(1600, 900, enlarge=False) == (602, 336)
    shot = image_of(picture(1, 896, 448)).image
    slices, grid = processor.slices(shot)
    assert grid == (2, 1)
    assert [part.size for part in slices[1:]] == [(448, 448)] * 2
    assert slices[2].tobytes() == shot.crop((448, 0, 896, 448)).tobytes()


def test_the_real_configuration_gives_the_published_weights() -> None:
    """8 billion parameters without its voice: Qwen2.5 of 7.6, SigLIP of 0.4, Whisper's encoder of 0.3."""
    ensure_importable()
    from mistralrs_cli.families.ports.minicpmo import MiniCPMOConfig, MiniCPMOForConditionalGeneration

    config = MiniCPMOConfig(
        vocab_size=151700,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vision_config={
            "hidden_size": 1152,
            "image_size": 980,
            "intermediate_size": 4304,
            "num_attention_heads": 16,
            "num_hidden_layers": 27,
            "patch_size": 14,
        },
        audio_config={
            "d_model": 1024,
            "encoder_attention_heads": 16,
            "encoder_ffn_dim": 4096,
            "encoder_layers": 24,
            "num_mel_bins": 80,
        },
    )
    with torch.device("meta"):
        model = MiniCPMOForConditionalGeneration(config)
    billions = {
        name: sum(parameter.numel() for parameter in part.parameters()) / 1e9 for name, part in model.named_children()
    }
    assert billions["llm"] == pytest.approx(7.61, abs=0.01)
    assert billions["vpm"] == pytest.approx(0.418, abs=0.005)
    assert billions["apm"] == pytest.approx(0.307, abs=0.005)
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    for name, shape in {
        "llm.model.layers.27.mlp.down_proj.weight": (3584, 18944),
        "llm.lm_head.weight": (151700, 3584),
        "vpm.embeddings.position_embedding.weight": (4900, 1152),
        "vpm.encoder.layers.26.self_attn.out_proj.weight": (1152, 1152),
        "resampler.query": (64, 3584),
        "resampler.kv_proj.weight": (3584, 1152),
        "resampler.attn.in_proj_weight": (10752, 3584),
        "resampler.proj": (3584, 3584),
        "apm.conv1.weight": (1024, 80, 3),
        "apm.layers.23.fc1.weight": (4096, 1024),
        "audio_projection_layer.linear1.weight": (3584, 1024),
        "audio_projection_layer.linear2.weight": (3584, 3584),
    }.items():
        assert shapes[name] == shape
    assert model.resampler.attn.num_heads == 28
