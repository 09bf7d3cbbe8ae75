"""Qwen3-VL, and the parts it shares with its relatives."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized

QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
QWEN_TEMPLATE = (
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|vision_start|><|video_pad|><|vision_end|>",
)


def qwen_ids(tokens: Any) -> dict[str, Any]:
    """The placeholder ids that a Qwen configuration repeats."""
    names = ["vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id"]
    return dict(zip(names, tokens.convert_tokens_to_ids(QWEN), strict=True))


def qwen_text(tokens: Any, **more: Any) -> dict[str, Any]:
    """The decoder of a Qwen3 generation vision model: three-axis interleaved rotary positions."""
    rope = {
        "rope_type": "default",
        "mrope_section": [4, 6, 6],
        "mrope_interleaved": True,
        "rope_theta": 10000.0,
        "partial_rotary_factor": 1.0,
    }
    return {**TEXT, "vocab_size": len(tokens), "num_hidden_layers": 2, "rope_parameters": rope, **more}


def qwen_vision(**more: Any) -> dict[str, Any]:
    """Its vision tower."""
    return {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
        **more,
    }


def qwen_processor(tokens: Any) -> Any:
    """The processor that Qwen3-VL and Qwen3.5 share."""
    import transformers

    size = {"shortest_edge": 32 * 32 * 2, "longest_edge": 32 * 32 * 16}
    return transformers.Qwen3VLProcessor(
        transformers.Qwen2VLImageProcessor(size=size, patch_size=16),
        tokens,
        transformers.Qwen3VLVideoProcessor(size={**size, "longest_edge": 32 * 32 * 64}),
        chat_template=template(*QWEN_TEMPLATE),
    )


def build() -> tuple[Any, Any]:
    """Qwen3-VL with deepstack features."""
    import transformers

    tokens = tokenizer(QWEN)
    config = transformers.Qwen3VLConfig(
        **qwen_ids(tokens), text_config=qwen_text(tokens), vision_config=qwen_vision(deepstack_visual_indexes=[0])
    )
    return randomized(transformers.Qwen3VLForConditionalGeneration(config)), qwen_processor(tokens)
