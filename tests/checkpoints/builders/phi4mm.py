"""Phi-4 Multimodal in the layout of the hub's main branch: its names, its configuration, its tokenizer, its adapters.

The towers are small, and so the configuration has to say what the published one leaves to its code.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistralrs_cli.messages import Message, Text
from tests.checkpoints.media import audio_of, image_of
from tests.checkpoints.tokens import tokenizer

from . import randomized

PUBLISHED_NAMES = (
    (r"feed_forward_(in|out)\.gate_up_proj\.", r"feed_forward_\1.net.0.linear."),
    (r"feed_forward_(in|out)\.down_proj\.", r"feed_forward_\1.net.2."),
    (r"(encoders\.\d+\.self_attn)\.(q|k|v)_proj\.", r"\1.linear_\2."),
    (r"(encoders\.\d+\.self_attn)\.o_proj\.", r"\1.linear_out."),
    (r"img_projection_up\.", "img_projection.0."),
    (r"img_projection_down\.", "img_projection.2."),
    ("global_img_feature_extensor", "glb_GN"),
    ("sub_img_feature_extensor", "sub_GN"),
    (r"up_proj_for_speech\.", "audio_projection.speech.0."),
    (r"down_proj_for_speech\.", "audio_projection.speech.2."),
    (r"up_proj_for_vision_speech\.", "audio_projection.vision.0."),
    (r"down_proj_for_vision_speech\.", "audio_projection.vision.2."),
)
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not "
    "none %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + "
    "'<|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)
SPECIAL = ["<|endoftext10|>", "<|endoftext11|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
VISION = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 64,
    "crop_size": 64,
    "patch_size": 2,
}


def published_config(tokens: Any) -> dict[str, Any]:
    """``config.json`` as the hub has it, but small."""
    return {
        "architectures": ["Phi4MMForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "audio_processor": {
            "config": {
                "activation": "swish",
                "activation_checkpointing": {"interval": 1, "module": "transformer", "offload": False},
                "attention_dim": 64,
                "attention_heads": 2,
                "batch_norm": False,
                "bias_in_glu": True,
                "causal": True,
                "chunk_size": -1,
                "cnn_layer_norm": True,
                "conv_activation": "swish",
                "conv_glu_type": "swish",
                "depthwise_multiplier": 1,
                "depthwise_seperable_out_channel": 64,
                "dropout_rate": 0.0,
                "encoder_embedding_config": {"input_size": 80},
                "ext_pw_kernel_size": 1,
                "ext_pw_out_channel": 64,
                "input_layer": "nemo_conv",
                "input_size": 80,
                "kernel_size": 3,
                "left_chunk": 18,
                "linear_units": 96,
                "nemo_conv_settings": {"conv_channels": 32},
                "num_blocks": 2,
                "relative_attention_bias_args": {"t5_bias_max_distance": 500, "type": "t5"},
                "time_reduction": 8,
            },
            "name": "cascades",
        },
        "auto_map": {
            "AutoConfig": "configuration_phi4mm.Phi4MMConfig",
            "AutoModelForCausalLM": "modeling_phi4mm.Phi4MMForCausalLM",
            "AutoTokenizer": "tokenization_phi4mm.Phi4MMTokenizer",
        },
        "bos_token_id": 1,
        "embd_layer": {
            "audio_embd_layer": {
                "compression_rate": 8,
                "downsample_rate": 1,
                "embedding_cls": "audio",
                "enable_gradient_checkpointing": True,
                "projection_cls": "mlp",
                "use_conv_downsample": False,
                "use_qformer": False,
            },
            "embedding_cls": "image_audio",
            "image_embd_layer": {
                "crop_size": 64,
                "embedding_cls": "tune_image",
                "enable_gradient_checkpointing": True,
                "hd_transform_order": "sub_glb",
                "image_token_compression_cls": "avg_pool_2d",
                "projection_cls": "mlp",
                "use_hd_transform": True,
                "with_learnable_separator": True,
            },
        },
        "embd_pdrop": 0.0,
        "eos_token_id": 1,
        "full_attn_mod": 1,
        "hidden_act": "silu",
        "hidden_size": 64,
        "image_token_id": tokens.convert_tokens_to_ids("<|endoftext10|>"),
        "audio_token_id": tokens.convert_tokens_to_ids("<|endoftext11|>"),
        "initializer_range": 0.02,
        "intermediate_size": 128,
        "interpolate_factor": 1,
        "lm_head_bias": False,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "model_type": "phi4mm",
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "original_max_position_embeddings": 700,
        "pad_token_id": 0,
        "partial_rotary_factor": 0.75,
        "resid_pdrop": 0.0,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "long_factor": [1.0 + index for index in range(12)],
            "short_factor": [1.0] * 12,
            "type": "longrope",
        },
        "rope_theta": 10000.0,
        "sliding_window": 262144,
        "speech_lora": {"dp": 0.01, "layer": LAYERS, "lora_alpha": 16, "r": 4},
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.46.1",
        "use_cache": True,
        "vision_config": VISION,
        "vision_lora": {"dp": 0.0, "layer": LAYERS, "lora_alpha": 32, "r": 4},
        "vocab_size": len(tokens),
    }


LAYERS = "layers.*((self_attn\\.(qkv_proj|o_proj))|(mlp\\.(gate_up|down)_proj))"
PREPROCESSOR = {
    "audio_compression_rate": 8,
    "audio_downsample_rate": 1,
    "audio_feat_stride": 1,
    "auto_map": {
        "AutoFeatureExtractor": "processing_phi4mm.Phi4MMAudioFeatureExtractor",
        "AutoImageProcessor": "processing_phi4mm.Phi4MMImageProcessor",
        "AutoProcessor": "processing_phi4mm.Phi4MMProcessor",
    },
    "dynamic_hd": 2,
    "feature_extractor_type": "Phi4MMAudioFeatureExtractor",
    "image_processor_type": "Phi4MMImageProcessor",
    "patch_size": 2,
    "processor_class": "Phi4MMProcessor",
    "size": {"height": 64, "width": 64},
}


def published_name(name: str) -> str:
    """A weight's name on the hub."""
    for ours, theirs in PUBLISHED_NAMES:
        name = re.sub(ours, theirs, name)
    return name


def write(folder: Path) -> None:
    """Write the checkpoint file by file, as it is published."""
    from safetensors.torch import save_file

    from mistralrs_cli.families.ports.phi4mm import Phi4MMConfig, Phi4MMForCausalLM

    tokens = tokenizer(SPECIAL)
    tokens.chat_template = TEMPLATE
    tokens.save_pretrained(folder)
    config = published_config(tokens)
    model = randomized(Phi4MMForCausalLM(Phi4MMConfig(**config)))
    weights = {published_name(name): weight.contiguous() for name, weight in model.state_dict().items()}
    del weights["lm_head.weight"]  # tied
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in {
        "config.json": config,
        "preprocessor_config.json": PREPROCESSOR,
        "processor_config.json": {"auto_map": PREPROCESSOR["auto_map"], "processor_class": "Phi4MMProcessor"},
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": [1], "pad_token_id": 0},
    }.items():
        (folder / name).write_text(json.dumps(config if name == "config.json" else content))


def published(processor: Any, messages: Sequence[Message]) -> dict[str, Any]:
    """The published way: numbered placeholders in strings, each replaced by as many tokens as its medium takes."""
    import torch

    pictures, sounds, turns = [], [], []
    for message in messages:
        said = ""
        for part in message.parts:
            if isinstance(part, Text):
                said += part.text
            elif part.kind == "image":
                pictures.append(image_of(part).image)
                said += f"<|image_{len(pictures)}|>"
            else:
                sounds.append(audio_of(part).samples)
                said += f"<|audio_{len(sounds)}|>"
        turns.append({"role": message.role, "content": said})
    edges = (max((picture.width for picture in pictures), default=0), max((p.height for p in pictures), default=0))
    pictures = [picture if picture.size == edges else picture.resize(edges, 3) for picture in pictures]
    seen = dict(processor.image_processor(pictures, return_tensors="pt")) if pictures else {}
    heard = dict(processor.audio_processor(sounds, sampling_rate=16000, return_tensors="pt")) if sounds else {}
    text = processor.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    text = re.sub(r"<\|image_\d+\|>", "<|endoftext10|>", text)
    text = re.sub(r"<\|audio_\d+\|>", "<|endoftext11|>", text)
    counts = {
        processor.image_token_id: iter(seen.pop("num_img_tokens", ())),
        processor.audio_token_id: iter(heard.get("audio_embed_sizes", ())),
    }
    ids: list[int] = []
    for token in processor.tokenizer(text).input_ids:
        ids += [token] * (int(next(counts[token])) if token in counts else 1)
    return {"input_ids": torch.tensor([ids]), **seen, **heard}
