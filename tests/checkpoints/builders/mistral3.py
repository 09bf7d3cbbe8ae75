"""Mistral Small 3 with vision: Pixtral's tower, whose pictures come in rows of patches."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized


def build() -> tuple[Any, Any]:
    """Pictures of at most 112 pixels, 28 to a token."""
    import transformers

    tokens = tokenizer(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    config = transformers.Mistral3Config(
        image_token_index=tokens.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        text_config={
            **TEXT,
            "model_type": "mistral",
            "vocab_size": len(tokens),
            "num_hidden_layers": 2,
            "sliding_window": None,
        },
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "head_dim": 32,
            "image_size": 112,
            "patch_size": 14,
        },
    )
    processor = transformers.PixtralProcessor(
        transformers.PixtralImageProcessor(size={"longest_edge": 112}, patch_size={"height": 14, "width": 14}),
        tokens,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=template("[IMG]"),
    )
    return randomized(transformers.Mistral3ForConditionalGeneration(config)), processor
