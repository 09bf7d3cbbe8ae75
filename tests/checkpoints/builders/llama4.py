"""Llama 4 Scout in small: experts, chunked attention shorter than the prompts, a layer without positions."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized

NAMES = [
    "<|image|>",
    "<|image_start|>",
    "<|image_end|>",
    "<|patch|>",
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
]


def build() -> tuple[Any, Any]:
    """Pictures are cut into at most four tiles of 28 pixels."""
    import transformers

    tokens = tokenizer(NAMES)
    number = tokens.convert_tokens_to_ids
    config = transformers.Llama4Config(
        image_token_index=number("<|patch|>"),
        boi_token_index=number("<|image_start|>"),
        eoi_token_index=number("<|image_end|>"),
        text_config={
            **TEXT,
            "vocab_size": len(tokens),
            "intermediate_size_mlp": 128,
            "num_hidden_layers": 4,
            "num_local_experts": 4,
            "num_experts_per_tok": 1,
            "interleave_moe_layer_step": 1,
            "attention_chunk_size": 32,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
            "vision_output_dim": 64,
            "projector_input_dim": 64,
            "projector_output_dim": 64,
        },
    )
    processor = transformers.Llama4Processor(
        transformers.Llama4ImageProcessor(size={"height": 28, "width": 28}, max_patches=4, resize_to_max_canvas=False),
        tokens,
        patch_size=7,
        pixel_shuffle_ratio=0.5,
        chat_template=template("<|image|>"),
    )
    return randomized(transformers.Llama4ForConditionalGeneration(config)), processor
