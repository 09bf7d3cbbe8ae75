"""Qwen3.5."""

from typing import Any

from ..tokens import tokenizer
from . import randomized
from .qwen3_vl import QWEN, qwen_ids, qwen_processor, qwen_text, qwen_vision


def build() -> tuple[Any, Any]:
    """Qwen3.5, whose linear attention layers keep states instead of keys and values."""
    import transformers

    tokens = tokenizer(QWEN)
    text = qwen_text(
        tokens,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        layer_types=["linear_attention", "full_attention"],
    )
    config = transformers.Qwen3_5Config(**qwen_ids(tokens), text_config=text, vision_config=qwen_vision())
    return randomized(transformers.Qwen3_5ForConditionalGeneration(config)), qwen_processor(tokens)
