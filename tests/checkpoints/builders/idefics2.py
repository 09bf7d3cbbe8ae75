"""Idefics 2: a perceiver between the tower and a Mistral decoder."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized


def build() -> tuple[Any, Any]:
    """Pictures are cut in four, and shown whole: five times 4 tokens."""
    import transformers

    tokens = tokenizer(["<fake_token_around_image>", "<image>", "<end_of_utterance>"])
    config = transformers.Idefics2Config(
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        text_config={"model_type": "mistral", "vocab_size": len(tokens), "num_hidden_layers": 2, **TEXT},
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        },
        perceiver_config={
            "hidden_size": 64,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 32,
            "num_key_value_heads": 1,
        },
    )
    processor = transformers.Idefics2Processor(
        transformers.Idefics2ImageProcessor(size={"shortest_edge": 28, "longest_edge": 56}, do_image_splitting=True),
        tokens,
        image_seq_len=4,
        chat_template=template("<image>"),
    )
    return randomized(transformers.Idefics2ForConditionalGeneration(config)), processor
