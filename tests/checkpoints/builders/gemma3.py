"""Gemma 3: a SigLIP tower whose projector is zero until it is trained, so that an untouched model sees nothing."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized

NAMES = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
OLDER_NAMES = [(r"^vision_tower\.", "vision_tower.vision_model.")]


def build() -> tuple[Any, Any]:
    """Pictures of 56 pixels, 4 tokens each; sliding layers shorter than the prompts."""
    import transformers

    tokens = tokenizer(list(NAMES.values()), NAMES, gemma=True)
    config = transformers.Gemma3Config(
        text_config={
            **TEXT,
            "vocab_size": len(tokens),
            "num_hidden_layers": 2,
            "sliding_window": 24,
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 32,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
        boi_token_index=tokens.boi_token_id,
        eoi_token_index=tokens.eoi_token_id,
        image_token_index=tokens.image_token_id,
    )
    processor = transformers.Gemma3Processor(
        transformers.Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        tokens,
        chat_template=template("<start_of_image>"),
        image_seq_length=4,
    )
    return randomized(transformers.Gemma3ForConditionalGeneration(config)), processor
