"""LLaVA 1.5: a CLIP tower before a Llama decoder."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized

OLDER_NAMES = [(r"^vision_tower\.", "vision_tower.vision_model.")]

CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
    "projection_dim": 32,
}


def build() -> tuple[Any, Any]:
    """Pictures of 56 pixels, 16 tokens each."""
    import transformers

    tokens = tokenizer(["<image>"])
    config = transformers.LlavaConfig(
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        text_config={"model_type": "llama", "vocab_size": len(tokens), "num_hidden_layers": 2, **TEXT},
        vision_config=CLIP,
    )
    processor = transformers.LlavaProcessor(
        transformers.LlavaImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}),
        tokens,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    return randomized(transformers.LlavaForConditionalGeneration(config)), processor
