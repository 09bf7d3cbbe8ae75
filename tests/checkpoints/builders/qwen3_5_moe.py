"""Qwen3.5 with experts, one of them shared."""

from typing import Any

from ..tokens import tokenizer
from . import randomized
from .qwen3_vl import QWEN, qwen_ids, qwen_processor, qwen_text, qwen_vision


def build() -> tuple[Any, Any]:
    """A linear attention layer and a full one, two of four experts a token."""
    import transformers

    tokens = tokenizer(QWEN)
    text = qwen_text(
        tokens,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        layer_types=["linear_attention", "full_attention"],
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=64,
        shared_expert_intermediate_size=64,
    )
    del text["intermediate_size"]
    config = transformers.Qwen3_5MoeConfig(**qwen_ids(tokens), text_config=text, vision_config=qwen_vision())
    return randomized(transformers.Qwen3_5MoeForConditionalGeneration(config)), qwen_processor(tokens)
