"""Phi-4 Multimodal in the hub's layout: the architecture as published, and an adapter for each kind of request."""

import copy
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.runner.prefill import move, prefill
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import picture, sound
from tests.families import reference_phi4mm as reference

Tiny = Callable[[str], LoadedModel]
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-3}
MIXES: dict[str, list[DecodedMedia]] = {
    "text": [],
    "picture": [picture(1, 100, 40)],
    "sound": [sound(0.9)],
    "both": [sound(0.7, 300.0), picture(2, 50, 60)],
}


def ask(*media: DecodedMedia, text: str = "what is this") -> list[Message]:
    return [Message("user", (Text("look: "), *media, Text(text)))]


def published(loaded: LoadedModel) -> tuple[reference.Weights, dict[str, Any]]:
    """The files as they lie in the folder, in double precision."""
    folder = Path(loaded.name)
    weights = {name: weight.double() for name, weight in load_file(folder / "model.safetensors").items()}
    return weights, json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("mix", MIXES)
@torch.inference_mode()
def test_every_stage_equals_the_published_architecture(tiny: Tiny, mix: str) -> None:
    loaded = tiny("phi4mm")
    weights, config = published(loaded)
    prepared = loaded.family.prepare(loaded.processor, ask(*MIXES[mix]))
    inputs = {key: move(value, torch.device("cpu"), torch.float64) for key, value in prepared.inputs.items()}
    model = copy.deepcopy(loaded.model).double()
    parts = model.model.embed_tokens_extend
    ids = inputs["input_ids"][0]
    embedded = weights["model.embed_tokens.weight"][ids].clone()
    if "image_sizes" in inputs:
        crops, masks = inputs["image_pixel_values"][0], inputs["image_attention_mask"][0]
        states = parts.image_embed.img_processor(crops, masks.bool(), output_hidden_states=True).hidden_states[-2]
        for index, (crop, mask) in enumerate(zip(crops, masks.bool(), strict=True)):
            seen = reference.crop_states(weights, config["vision_config"], crop, mask)
            torch.testing.assert_close(states[index][mask.flatten()], seen[mask.flatten()], **CLOSE)
        tokens = reference.picture(weights, config["vision_config"], crops, masks, inputs["image_sizes"][0])
        embedded[ids == config["image_token_id"]] = tokens
    if "audio_input_features" in inputs:
        settings = config["audio_processor"]["config"]
        branch = "vision" if "image_sizes" in inputs else "speech"
        embedded[ids == config["audio_token_id"]] = reference.sound(
            weights, settings, inputs["audio_input_features"][0], branch
        )
    taken = {key: value for key, value in inputs.items() if key.startswith(("image", "audio"))}
    ours = parts(ids[None], model.model.embed_tokens(ids[None]), **taken)[0]
    torch.testing.assert_close(ours, embedded, **CLOSE)
    adapter = {"text": None, "picture": "vision", "sound": "speech", "both": "vision"}[mix]
    assert prepared.adapter == adapter
    loaded.family.set_adapter(model, prepared.adapter)
    found = model(**inputs).logits[0]
    torch.testing.assert_close(found, reference.logits(weights, config, embedded, adapter), **CLOSE)
    wrong = reference.logits(weights, config, embedded, "speech" if adapter != "speech" else "vision")
    assert (found - wrong).abs().max() > 0.1


def test_requests_of_different_kinds_keep_their_adapters_when_they_run_at_once(tiny: Tiny) -> None:
    loaded = tiny("phi4mm")
    sampling = Sampling(max_tokens=9, temperature=1.0, seed=7, ignore_eos=True)
    with Engine(loaded) as engine:
        alone = {mix: engine.generate(ask(*media), sampling).text for mix, media in MIXES.items()}
        streams = {(mix, copy): engine.stream(ask(*MIXES[mix]), sampling) for copy in range(2) for mix in MIXES}
        together: dict[tuple[str, int], str] = {}

        def read(key: tuple[str, int]) -> None:
            together[key] = "".join(getattr(event, "text", "") for event in streams[key])

        readers = [threading.Thread(target=read, args=(key,)) for key in streams]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert together == {(mix, copy): alone[mix] for mix in MIXES for copy in range(2)}
    assert len(set(alone.values())) == len(alone)


def test_a_picture_of_an_earlier_turn_keeps_the_whole_conversation_with_its_adapter(tiny: Tiny) -> None:
    loaded = tiny("phi4mm")
    turns = [*ask(picture(1)), Message("assistant", (Text("a cat"),)), *ask(sound(0.5))]
    prepared = loaded.family.prepare(loaded.processor, turns)
    assert prepared.adapter == "vision"
    assert [(report.kind, report.tokens > 0) for report in prepared.media] == [("image", True), ("audio", True)]


def test_the_prompt_is_the_published_format(tiny: Tiny) -> None:
    loaded = tiny("phi4mm")
    parts = (Text("one"), picture(1, 60, 60), sound(0.5), Text("two <|image_1|> <|endoftext10|> <|end|>"))
    turns = [Message("system", (Text("be brief"),)), Message("user", parts)]
    prepared = loaded.family.prepare(loaded.processor, turns)
    ids = prepared.inputs["input_ids"][0].tolist()
    image, audio = prepared.media
    tokens = loaded.tokenizer
    plain = tokens("two <|image_1|> <|endoftext10|> <|end|>", split_special_tokens=True).input_ids
    assert ids == [
        *tokens("<|system|>be brief<|end|><|user|>one").input_ids,
        *tokens("<|endoftext10|>").input_ids * image.tokens,
        *tokens("<|endoftext11|>").input_ids * audio.tokens,
        *plain,
        *tokens("<|end|><|assistant|>").input_ids,
    ]


def test_several_pictures_are_brought_to_one_size(tiny: Tiny) -> None:
    loaded = tiny("phi4mm")
    prepared = loaded.family.prepare(loaded.processor, ask(picture(1, 96, 40), sound(0.5), picture(2, 40, 72)))
    assert [report.summary for report in prepared.media] == ["96×40 PNG → 96×72", "0.5 s", "40×72 PNG → 96×72"]
    first, _, second = prepared.media
    assert first.tokens == second.tokens


@torch.inference_mode()
def test_an_answer_that_outgrows_the_short_positions_goes_on_as_if_it_were_a_prompt(tiny: Tiny) -> None:
    """Each token equals a run of everything before it, without a cache, with its picture."""
    loaded = tiny("phi4mm")
    limit, sampling = loaded.family.rope_switch_length, Sampling(max_tokens=14, temperature=0, ignore_eos=True)
    assert limit == 700
    spare = limit - loaded.family.prepare(loaded.processor, ask(picture(1), text="")).prompt_tokens
    messages = ask(picture(1), text="x" * (spare - 6))
    prepared = loaded.family.prepare(loaded.processor, messages)
    assert prepared.prompt_tokens == limit - 6
    loaded.family.set_adapter(loaded.model, "vision")
    ids, expected = prepared.inputs["input_ids"], []
    for _ in range(14):
        inputs = prepared.inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        expected.append(int(loaded.model(**inputs, use_cache=False).logits[0, -1].argmax()))
        ids = torch.cat([ids, torch.tensor([[expected[-1]]])], -1)
    with Engine(loaded) as engine:
        others = [engine.stream(ask(text="short"), sampling), engine.stream(messages, sampling)]
        texts = ["".join(getattr(event, "text", "") for event in stream) for stream in others]
    assert texts[1] == loaded.tokenizer.decode(expected, skip_special_tokens=True)
    assert texts[0] == Engine(loaded).generate(ask(text="short"), sampling).text


def test_its_code_is_never_asked_for_and_it_can_be_saved_and_read_again(tiny: Tiny, tmp_path: Path) -> None:
    """``auto_map`` in the configuration names code; the class of this package wins, without a question."""
    loaded = tiny("phi4mm")
    from transformers import AutoModelForMultimodalLM

    assert type(AutoConfig.from_pretrained(loaded.name)).__module__.startswith("mistralrs_cli.")
    loaded.model.save_pretrained(tmp_path)
    again = AutoModelForMultimodalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert type(again) is type(loaded.model)
    before = loaded.model.state_dict()
    assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())


def test_the_real_configuration_gives_the_published_weights() -> None:
    """5.6 billion parameters, adapters of rank 256 and 320 included."""
    ensure_importable()
    from transformers.core_model_loading import revert_weight_conversion

    from mistralrs_cli.families.ports.phi4mm import Phi4MMConfig, Phi4MMForCausalLM, register

    register()
    config = Phi4MMConfig(  # type: ignore[call-arg]
        num_attention_heads=24,
        num_key_value_heads=8,
        tie_word_embeddings=True,
        vision_lora={"r": 256, "lora_alpha": 512},
        speech_lora={"r": 320, "lora_alpha": 640},
        embd_layer={"image_embd_layer": {"crop_size": 448}, "audio_embd_layer": {"downsample_rate": 1}},
        audio_processor={"config": {"attention_dim": 1024, "num_blocks": 24, "linear_units": 1536}},
    )
    with torch.device("meta"):
        model = Phi4MMForCausalLM(config)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(5.57, abs=0.02)
    names = revert_weight_conversion(model, model.state_dict())
    decoder, extended = "model.layers.31.", "model.embed_tokens_extend."
    for name, shape in {
        "model.embed_tokens.weight": (200064, 3072),
        decoder + "self_attn.qkv_proj.base_layer.weight": (5120, 3072),
        decoder + "self_attn.qkv_proj.lora_A.vision.weight": (256, 3072),
        decoder + "self_attn.o_proj.lora_B.speech.weight": (3072, 320),
        decoder + "mlp.gate_up_proj.base_layer.weight": (16384, 3072),
        decoder + "mlp.down_proj.lora_A.speech.weight": (320, 8192),
        extended + "image_embed.glb_GN": (1, 1, 1152),
        extended + "image_embed.sub_GN": (1, 1, 1, 1152),
        extended + "image_embed.img_projection.0.weight": (3072, 1152),
        extended + "image_embed.img_projection.2.weight": (3072, 3072),
        extended + "image_embed.img_processor.embeddings.position_embedding.weight": (1024, 1152),
        extended + "image_embed.img_processor.encoder.layers.26.mlp.fc1.weight": (4304, 1152),
        extended + "audio_embed.audio_projection.speech.0.weight": (3072, 1024),
        extended + "audio_embed.audio_projection.vision.2.weight": (3072, 3072),
        extended + "audio_embed.encoder.encoders.23.feed_forward_in.net.0.linear.weight": (3072, 1024),
        extended + "audio_embed.encoder.encoders.23.feed_forward_out.net.2.weight": (1024, 1536),
        extended + "audio_embed.encoder.encoders.0.self_attn.linear_out.weight": (1024, 1024),
        extended + "audio_embed.encoder.embed.out.weight": (1024, 10240),
    }.items():
        assert tuple(names[name].shape) == shape


@torch.inference_mode()
def test_adapters_in_folders_of_the_other_layout_are_used(tiny: Tiny) -> None:
    """Transformers' own layout keeps each adapter in PEFT's files."""
    loaded = tiny("phi4_multimodal")
    prepared = loaded.family.prepare(loaded.processor, ask(picture(1)))
    assert prepared.adapter == "vision"

    def logits() -> torch.Tensor:
        return prefill(loaded.model, prepared.inputs)[1]

    loaded.family.set_adapter(loaded.model, "vision")
    adapted = logits()
    loaded.family.set_adapter(loaded.model, None)
    plain = logits()
    file = load_file(Path(loaded.name) / "vision-lora" / "adapter_model.safetensors")
    updates = {}
    for name in {key.rpartition(".lora_")[0] for key in file}:
        base = loaded.model.get_submodule(name.removeprefix("base_model.model.")).base_layer
        updates[base] = 32 / 4 * file[f"{name}.lora_B.weight"] @ file[f"{name}.lora_A.weight"]
    assert len(updates) == 8
    for base, update in updates.items():
        base.weight += update
    folded = logits()
    for base, update in updates.items():
        base.weight -= update
    torch.testing.assert_close(adapted, folded, **CLOSE)
    assert (adapted - plain).abs().max() > 0.1
