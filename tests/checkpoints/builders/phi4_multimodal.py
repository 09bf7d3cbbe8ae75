"""Phi-4 Multimodal in transformers' own layout, with its adapters in folders beside the model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistralrs_cli.messages import Message, Text
from tests.checkpoints.media import audio_of, image_of
from tests.checkpoints.tokens import template, tokenizer

from . import randomized

RANKS = {"vision": (4, 32), "speech": (4, 16)}
LAYERS = {"self_attn.qkv_proj": (64, 128), "self_attn.o_proj": (64, 64)} | {
    "mlp.gate_up_proj": (64, 256),
    "mlp.down_proj": (128, 64),
}


def write(folder: Path) -> None:
    """Write the model, its processor and both adapters."""
    import transformers

    tokens = tokenizer(["<|image|>", "<|audio|>"], {"image_token": "<|image|>", "audio_token": "<|audio|>"})
    config = transformers.Phi4MultimodalConfig(
        vocab_size=len(tokens),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8192,
        original_max_position_embeddings=4096,
        pad_token_id=0,
        eos_token_id=[1],
        bos_token_id=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 64,
            "crop_size": 64,
            "patch_size": 2,
            "image_token_id": tokens.image_token_id,
        },
        audio_config={
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_blocks": 2,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 64,
            "depthwise_separable_out_channel": 64,
            "nemo_conv_channels": 32,
            "audio_token_id": tokens.audio_token_id,
        },
    )
    processor = transformers.Phi4MultimodalProcessor(
        transformers.Phi4MultimodalImageProcessor(size={"height": 64, "width": 64}, patch_size=2, dynamic_hd=2),
        transformers.Phi4MultimodalFeatureExtractor(),
        tokens,
        chat_template=template("<|image|>", audio="<|audio|>"),
    )
    model = randomized(transformers.Phi4MultimodalForCausalLM(config))
    model.generation_config.eos_token_id = 1
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    for name, (rank, alpha) in RANKS.items():
        write_adapter(folder / f"{name}-lora", rank, alpha, seed=rank + alpha)


def write_adapter(folder: Path, rank: int, alpha: int, seed: int) -> None:
    """One adapter in PEFT's layout."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for layer in range(2):
        for name, (taken, given) in LAYERS.items():
            path = f"base_model.model.model.layers.{layer}.{name}"
            weights[f"{path}.lora_A.weight"] = torch.randn(rank, taken, generator=generator) * taken**-0.5
            weights[f"{path}.lora_B.weight"] = torch.randn(given, rank, generator=generator) * 0.5
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "base_model_name_or_path": ""}
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def published(processor: Any, messages: Sequence[Message]) -> dict[str, Any]:
    """Transformers' own processor, given pictures of one size."""
    edges = [image_of(part).image.size for message in messages for part in message.media if part.kind == "image"]
    size = tuple(map(max, zip(*edges, strict=True))) if edges else ()
    turns = []
    for message in messages:
        items: list[dict[str, Any]] = []
        for part in message.parts:
            match part:
                case _ if not isinstance(part, Text) and part.kind == "image":
                    picture = image_of(part).image
                    items.append(
                        {"type": "image", "image": picture if picture.size == size else picture.resize(size, 3)}
                    )
                case _ if not isinstance(part, Text):
                    items.append({"type": "audio", "audio": audio_of(part).samples})
                case Text():
                    items.append({"type": "text", "text": part.text})
        turns.append({"role": message.role, "content": items})
    told = dict(
        processor.apply_chat_template(
            turns, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
        )
    )
    told.pop("num_img_tokens", None)
    return told
