"""LFM2-VL: short convolutions between attention layers, pictures in tiles with a thumbnail."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized

SIDE = 10  # the most tiles along an edge
NAMES = [
    "<image>",
    "<|image_start|>",
    "<|image_end|>",
    "<|img_thumbnail|>",
    *(f"<|img_row_{row}_col_{column}|>" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1)),
]


def build() -> tuple[Any, Any]:
    """Pictures of up to 16 tokens whole, larger ones in tiles of 64 pixels."""
    import transformers

    tokens = tokenizer(NAMES)
    config = transformers.Lfm2VlConfig(
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        projector_hidden_size=64,
        text_config={
            **{key: value for key, value in TEXT.items() if key != "head_dim"},
            "model_type": "lfm2",
            "vocab_size": len(tokens),
            "num_hidden_layers": 3,
            "layer_types": ["conv", "full_attention", "conv"],
        },
        vision_config={
            "model_type": "siglip2_vision_model",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_patches": 16,
            "patch_size": 8,
        },
    )
    processor = transformers.Lfm2VlProcessor(
        transformers.Lfm2VlImageProcessor(  # type: ignore[call-arg]
            encoder_patch_size=8,
            tile_size=64,
            min_tiles=2,
            max_tiles=4,
            min_image_tokens=4,
            max_image_tokens=16,
            max_num_patches=64,
            max_pixels_tolerance=2.0,
            do_image_splitting=True,
            use_thumbnail=True,
        ),
        tokens,
        chat_template=template("<image>"),
    )
    return randomized(transformers.Lfm2VlForConditionalGeneration(config)), processor
