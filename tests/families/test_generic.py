"""Models without a file of their own: what they read, by their class, and how many tokens their media take."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.families import Family, family_for
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import DecodedMedia, Message, Modality, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import randomized
from tests.checkpoints.media import clip, picture, sound
from tests.checkpoints.tokens import template, tokenizer

ensure_importable()
SEES: dict[str, Any] = {"vision_config": {}, "text_config": {}}


@pytest.mark.parametrize(
    ("config", "reads"),
    [
        ({"model_type": "internvl", "architectures": ["InternVLForConditionalGeneration"], **SEES}, "image video"),
        ({"model_type": "glm4v", "architectures": ["Glm4vForConditionalGeneration"], **SEES}, "image video"),
        ({"model_type": "llava_onevision", **SEES}, "image video"),
        ({"model_type": "aya_vision", **SEES}, "image"),
        ({"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], **SEES}, "image"),
        ({"model_type": "minicpmv4_6", **SEES}, "image video"),
        ({"model_type": "molmo2", "vit_config": {}, "text_config": {}}, "image video"),
        ({"model_type": "qwen2_audio", "audio_config": {}, "text_config": {}}, "audio"),
        ({"model_type": "granite_speech", "encoder_config": {}, "text_config": {}}, "audio"),
        ({"model_type": "gemma4_unified", "audio_config": None, **SEES}, "image video"),
        ({"model_type": "qwen2_5_omni", "thinker_config": {"audio_config": {}, **SEES}}, "image audio video"),
        ({"model_type": "qwen3_omni_moe", "thinker_config": {"audio_config": {}, **SEES}}, "image audio video"),
        ({"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"]}, ""),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, ""),
        ({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}, ""),
        ({"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"]}, ""),
        ({"model_type": "smollm3", "architectures": ["SmolLM3ForCausalLM"]}, ""),
        ({"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "auto_map": {"AutoConfig": "x.Y"}}, ""),
        ({"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"]}, ""),
    ],
    ids=lambda value: value.get("model_type") if isinstance(value, dict) else None,
)
def test_what_a_model_reads(tmp_path: Path, config: dict[str, Any], reads: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert open_checkpoint(ModelOptions(model_id=str(tmp_path))).family.modalities == set(reads.split())


def pixtral() -> tuple[Family, Any]:
    """Rows of patches, each closed by a token that is no patch."""
    import transformers

    tokens = tokenizer(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    processor = transformers.PixtralProcessor(
        transformers.PixtralImageProcessor(size={"longest_edge": 112}, patch_size={"height": 14, "width": 14}),
        tokens,
        patch_size=14,
        spatial_merge_size=1,
        chat_template=template("[IMG]"),
    )
    return family_for({"model_type": "llava", "image_token_index": tokens.convert_tokens_to_ids("[IMG]")}), processor


def aya() -> tuple[Family, Any]:
    """Tiles with a name each."""
    import transformers

    marks = ["<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>", "TILE_GLOBAL", "TILE"]
    tokens = tokenizer(["<image>", "<|IMG_PATCH|>", *marks])
    processor = transformers.AyaVisionProcessor(
        tiling(), tokens, patch_size=14, img_size=28, downsample_factor=1, chat_template=template("<image>")
    )
    patch = tokens.convert_tokens_to_ids("<|IMG_PATCH|>")
    return family_for({"model_type": "aya_vision", "image_token_index": patch, **SEES}), processor


def internvl() -> tuple[Family, Any]:
    """Tiles in one run; a clip is named frames, in the pictures' placeholder."""
    import transformers

    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    tokens = tokenizer([*named.values(), "<video>"], named | {"video_token": "<video>"})
    processor = transformers.InternVLProcessor(
        tiling(),
        tokens,
        transformers.InternVLVideoProcessor(size={"height": 28, "width": 28}),
        image_seq_length=4,
        chat_template=template("<IMG_CONTEXT>", "<video>"),
    )
    context = tokens.convert_tokens_to_ids("<IMG_CONTEXT>")
    return family_for({"model_type": "internvl", "image_token_id": context, **SEES}), processor


def tiling() -> Any:
    """At most four tiles of 28 pixels, four tokens each, and a thumbnail where there are several."""
    import transformers

    return transformers.GotOcr2ImageProcessor(
        size={"height": 28, "width": 28}, crop_to_patches=True, min_patches=1, max_patches=4
    )


@pytest.mark.parametrize(
    ("made", "media", "tokens"),
    [
        (pixtral, [picture(1, 64, 48), picture(2, 200, 300)], [20, 48]),
        (aya, [picture(1, 64, 48), picture(2, 100, 300), picture(3, 20, 20)], [20, 16, 4]),
        (internvl, [picture(1, 64, 48), clip(1, 4), picture(2, 100, 300)], [20, 16, 16]),
    ],
)
def test_tokens_are_those_that_the_model_takes(
    made: Callable[[], tuple[Family, Any]], media: list[DecodedMedia], tokens: list[int]
) -> None:
    """Not the marks between them, and each medium's own, also where they stand side by side."""
    family, processor = made()
    prepared = family.prepare(processor, [Message("user", (*media, Text("what")))])
    assert [report.tokens for report in prepared.media] == tokens
    ids = prepared.inputs["input_ids"][0].tolist()
    kinds: set[Modality] = {medium.kind for medium in media}
    places = {token for kind in kinds for token in family.placeholder_ids(processor, kind)}
    assert sum(token in places for token in ids) == sum(tokens)


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-Omni: a thinker whose weights lie among those of a talker."""
    import torch
    import transformers
    from safetensors.torch import load_file, save_file

    named = {f"{kind}_token": f"<|{kind.upper()}|>" for kind in ("image", "audio", "video")}
    named |= {f"{kind}_{end}_token": f"<|{kind}_{end}|>" for kind in ("vision", "audio") for end in ("bos", "eos")}
    tokens = tokenizer(list(named.values()), named)
    number = tokens.convert_tokens_to_ids
    size = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 8}
    processor = transformers.Qwen2_5OmniProcessor(
        transformers.Qwen2VLImageProcessor(size=size, patch_size=14),
        transformers.Qwen2VLVideoProcessor(size=size, patch_size=14),
        transformers.WhisperFeatureExtractor(feature_size=16),
        tokens,
        chat_template=template(
            "<|vision_bos|><|IMAGE|><|vision_eos|>",
            "<|vision_bos|><|VIDEO|><|vision_eos|>",
            "<|audio_bos|><|AUDIO|><|audio_eos|>",
        ),
    )
    thinker = transformers.Qwen2_5OmniThinkerConfig(  # type: ignore[call-arg]
        text_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "num_hidden_layers": 2,
            "vocab_size": len(tokens),
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 10000.0},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "patch_size": 14,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        audio_config={
            "d_model": 64,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "num_mel_bins": 16,
            "output_dim": 64,
            "n_window": 100,
        },
        **{f"{kind}_token_index": number(named[f"{kind}_token"]) for kind in ("image", "audio", "video")},
        **{f"{kind}_start_token_id": number(f"<|{kind}_bos|>") for kind in ("vision", "audio")},
        **{f"{kind}_end_token_id": number(f"<|{kind}_eos|>") for kind in ("vision", "audio")},
        pad_token_id=0,
    )
    folder = tmp_path_factory.mktemp("omni")
    randomized(transformers.Qwen2_5OmniThinkerForConditionalGeneration(thinker)).save_pretrained(folder)
    weights = {f"thinker.{name}": weight for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights | {"talker.head.weight": torch.zeros(2, 2)}, folder / "model.safetensors", {"format": "pt"})
    processor.save_pretrained(folder)
    config = {"model_type": "qwen2_5_omni", "enable_audio_output": True, "talker_config": {}, "token2wav_config": {}}
    config["thinker_config"] = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("isq", [None, "4"])
def test_a_model_that_speaks_is_asked_by_its_thinker(omni: Path, isq: str | None) -> None:
    options = ModelOptions(model_id=str(omni), cpu=True, dtype="f32", isq=isq)
    loaded = load(open_checkpoint(options), options)
    message = Message("user", (picture(1), Text("a"), clip(1), Text("b"), sound(1.0), Text("c")))
    with Engine(loaded) as engine:
        reply = engine.generate([message], Sampling(max_tokens=2, temperature=0.0, ignore_eos=True))
    assert reply.usage.image_tokens > 0
    assert reply.usage.video_tokens > 0
    assert reply.usage.audio_tokens == 25
