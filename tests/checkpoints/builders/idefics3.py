"""Idefics 3: pictures in tiles that are named by row and column, with a view of the whole."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized

TILES = [f"<row_{row + 1}_col_{column + 1}>" for row in range(6) for column in range(6)]
NAMES = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *TILES]


def parts(tokens: Any) -> dict[str, Any]:
    """The configuration that Idefics 3 and SmolVLM share: tiles of 56 pixels, 4 tokens each."""
    return {
        "image_token_id": tokens.convert_tokens_to_ids("<image>"),
        "scale_factor": 2,
        "pad_token_id": 0,
        "text_config": {"model_type": "llama", "vocab_size": len(tokens), "num_hidden_layers": 2, **TEXT},
        "vision_config": {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        },
    }


def build() -> tuple[Any, Any]:
    """Pictures of at most 112 pixels."""
    import transformers

    tokens = tokenizer(NAMES)
    config = transformers.Idefics3Config(**parts(tokens))
    processor = transformers.Idefics3Processor(
        transformers.Idefics3ImageProcessor(size={"longest_edge": 112}, max_image_size={"longest_edge": 56}),
        tokens,
        image_seq_len=4,
        chat_template=template("<image>"),
    )
    return randomized(transformers.Idefics3ForConditionalGeneration(config)), processor
