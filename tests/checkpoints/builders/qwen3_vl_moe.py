"""Qwen3-VL with experts and deepstack features."""

from typing import Any

from ..tokens import tokenizer
from . import randomized
from .qwen3_vl import QWEN, qwen_ids, qwen_processor, qwen_text, qwen_vision


def build() -> tuple[Any, Any]:
    """Two of four experts a token."""
    import transformers

    tokens = tokenizer(QWEN)
    config = transformers.Qwen3VLMoeConfig(
        **qwen_ids(tokens),
        text_config=qwen_text(tokens, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64),
        vision_config=qwen_vision(deepstack_visual_indexes=[0]),
    )
    return randomized(transformers.Qwen3VLMoeForConditionalGeneration(config)), qwen_processor(tokens)
