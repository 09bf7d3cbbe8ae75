"""Tiny mixtures of experts in the four layouts there are, weights only."""

from pathlib import Path
from typing import Any

from mistralrs_cli.loading.torchvision import ensure_importable

VOCABULARY = 300
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
TOWER = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2}
QWEN_TOWER = {
    "depth": 1,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 2,
    "patch_size": 16,
    "out_hidden_size": 128,
    "num_position_embeddings": 16,
}
ROPE = {
    "rope_type": "default",
    "mrope_section": [8, 12, 12],
    "mrope_interleaved": True,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 1.0,
}


def qwen3_vl_moe() -> Any:
    """Stacks that the hub keeps as [in, out]."""
    import transformers

    text = {**TEXT, **EXPERTS, "rope_parameters": ROPE, "decoder_sparse_step": 1, "mlp_only_layers": []}
    config = transformers.Qwen3VLMoeConfig(
        text_config=text, vision_config={**QWEN_TOWER, "deepstack_visual_indexes": [0]}, image_token_id=5
    )
    return transformers.Qwen3VLMoeForConditionalGeneration(config)


def qwen3_5_moe() -> Any:
    """A shared expert with a gate of its own beside the routed ones."""
    import transformers

    text = {
        **TEXT,
        **EXPERTS,
        "rope_parameters": ROPE,
        "shared_expert_intermediate_size": 64,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
    }
    config = transformers.Qwen3_5MoeConfig(text_config=text, vision_config=QWEN_TOWER, image_token_id=5)
    return transformers.Qwen3_5MoeForConditionalGeneration(config)


def gemma4() -> Any:
    """Experts beside a dense feed-forward layer, with a scale for each."""
    import transformers

    text = {
        **TEXT,
        "num_experts": 8,
        "top_k_experts": 2,
        "moe_intermediate_size": 64,
        "enable_moe_block": True,
        "global_head_dim": 64,
        "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": VOCABULARY,
        "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    tower = {**TOWER, "num_key_value_heads": 2, "head_dim": 32, "patch_size": 4, "pooling_kernel_size": 2}
    config = transformers.Gemma4Config(text_config=text, vision_config=tower, audio_config=None, image_token_id=5)
    return transformers.Gemma4ForConditionalGeneration(config)


def llama4() -> Any:
    """Stacks [in, out], and every expert called with a copy of every token."""
    import transformers

    text = {
        **TEXT,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "intermediate_size_mlp": 128,
        "intermediate_size": 64,
        "interleave_moe_layer_step": 1,
    }
    tower = {**TOWER, "image_size": 28, "patch_size": 14, "vision_output_dim": 64}
    tower |= {"projector_input_dim": 64, "projector_output_dim": 64}
    config = transformers.Llama4Config(text_config=text, vision_config=tower, image_token_index=5)
    return transformers.Llama4ForConditionalGeneration(config)


MIXTURES = {model.__name__: model for model in (qwen3_vl_moe, qwen3_5_moe, gemma4, llama4)}


def save(name: str, folder: Path) -> Path:
    """Write a mixture with random weights whose experts matter, as its family is published."""
    import torch

    ensure_importable()
    torch.manual_seed(0)
    model = MIXTURES[name]()
    with torch.no_grad():
        for full, parameter in model.named_parameters():
            if "experts" in full or full.endswith(("router.weight", "gate.weight", "proj.weight")):
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
    model.save_pretrained(folder)
    return folder
