"""Phi-3.5 Vision in the layout of the hub, with a small CLIP that the configuration has to describe."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistralrs_cli.messages import Message, Text
from tests.checkpoints.media import image_of
from tests.checkpoints.tokens import tokenizer

from . import randomized

TEMPLATE = (
    "{% for message in messages %}{{'<|' + message['role'] + '|>' + '\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}{{- '<|assistant|>\n' -}}"
    "{% endif %}"
)
SPECIAL = ["<|image|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
AUTO = {"AutoConfig": "configuration_phi3_v.Phi3VConfig", "AutoModelForCausalLM": "modeling_phi3_v.Phi3VForCausalLM"}


def write(folder: Path) -> None:
    """Write the checkpoint file by file, as it is published."""
    from safetensors.torch import save_file

    from mistralrs_cli.families.ports.phi3_v import Phi3VConfig, Phi3VForCausalLM

    tokens = tokenizer(SPECIAL)
    tokens.chat_template = TEMPLATE
    tokens.save_pretrained(folder)
    config = {
        "architectures": ["Phi3VForCausalLM"],
        "attention_dropout": 0.0,
        "auto_map": AUTO,
        "bos_token_id": 2,
        "embd_layer": {
            "embedding_cls": "image",
            "hd_transform_order": "sub_glb",
            "projection_cls": "mlp",
            "use_hd_transform": True,
            "with_learnable_separator": True,
        },
        "embd_pdrop": 0.0,
        "eos_token_id": 1,
        "hidden_act": "silu",
        "hidden_size": 64,
        "image_token_id": tokens.convert_tokens_to_ids("<|image|>"),
        "img_processor": {
            "image_dim_out": 64,
            "model_name": "openai/clip-vit-large-patch14-336",
            "name": "clip_vision_model",
            "num_img_tokens": 144,
        },
        "intermediate_size": 128,
        "max_position_embeddings": 2048,
        "model_type": "phi3_v",
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "original_max_position_embeddings": 160,
        "pad_token_id": 0,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {"long_factor": [1.0 + i for i in range(16)], "short_factor": [1.05] * 16, "type": "su"},
        "rope_theta": 10000.0,
        "sliding_window": 262144,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vision_config": {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "projection_dim": 32,
        },
        "vocab_size": len(tokens),
    }
    model = randomized(Phi3VForCausalLM(Phi3VConfig(**json.loads(json.dumps(config)))))
    tower = "img_processor."
    weights = {
        name.replace(tower, tower + "vision_model.") if tower in name and "vision_model" not in name else name: weight
        for name, weight in model.state_dict().items()
    }
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    for name, content in {
        "config.json": config,
        "preprocessor_config.json": {
            "auto_map": {"AutoProcessor": "processing_phi3_v.Phi3VProcessor"},
            "do_convert_rgb": True,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_processor_type": "Phi3VImageProcessor",
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "num_crops": 4,
            "num_img_tokens": 144,
            "processor_class": "Phi3VProcessor",
            "tile": 56,
        },
        "generation_config.json": {"bos_token_id": 2, "eos_token_id": [1], "pad_token_id": 0},
    }.items():
        (folder / name).write_text(json.dumps(content))


def published(processor: Any, messages: Sequence[Message]) -> dict[str, Any]:
    """The published way: a line ``<|image_N|>`` for each picture, the text between them encoded piece by piece."""
    import torch

    pictures, turns = [], []
    for message in messages:
        said = ""
        for part in message.parts:
            if not isinstance(part, Text):
                pictures.append(image_of(part).image)
                said += f"<|image_{len(pictures)}|>\n"
            else:
                said += part.text
        turns.append({"role": message.role, "content": said})
    edges = (max((picture.width for picture in pictures), default=0), max((p.height for p in pictures), default=0))
    pictures = [picture if picture.size == edges else picture.resize(edges, 3) for picture in pictures]
    seen = dict(processor.image_processor.preprocess(pictures)) if pictures else {}
    counts = seen.pop("num_img_tokens", ())
    text = processor.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids: list[int] = []
    for index, piece in enumerate(re.split(r"<\|image_\d+\|>", text)):
        ids += [processor.image_token_id] * counts[index - 1] if index else []
        ids += processor.tokenizer(piece).input_ids
    return {"input_ids": torch.tensor([ids]), **seen}
