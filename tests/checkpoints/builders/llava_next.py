"""LLaVA-NeXT on Mistral: the tiles a picture's shape asks for, and the whole."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized
from .llava import CLIP, OLDER_NAMES

__all__ = ["OLDER_NAMES", "build"]

SHAPES = [[56, 112], [112, 56], [112, 112]]


def build(decoder: str = "mistral") -> tuple[Any, Any]:
    """Tiles of 56 pixels."""
    import transformers

    tokens = tokenizer(["<image>"])
    config = transformers.LlavaNextConfig(
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=SHAPES,
        text_config={"model_type": decoder, "vocab_size": len(tokens), "num_hidden_layers": 2, **TEXT},
        vision_config=CLIP,
    )
    processor = transformers.LlavaNextProcessor(
        transformers.LlavaNextImageProcessor(
            size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, image_grid_pinpoints=SHAPES
        ),
        tokens,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    return randomized(transformers.LlavaNextForConditionalGeneration(config)), processor
