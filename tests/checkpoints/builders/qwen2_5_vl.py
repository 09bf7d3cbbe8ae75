"""Qwen2.5-VL: windowed attention in the tower, and clips whose positions follow the clock."""

from typing import Any

from ..tokens import tokenizer
from . import randomized
from .qwen2_vl import processor, text
from .qwen3_vl import QWEN, qwen_ids


def build() -> tuple[Any, Any]:
    """Pictures and clips, 28 pixels and two frames to a token."""
    import transformers

    tokens = tokenizer(QWEN)
    config = transformers.Qwen2_5_VLConfig(
        **qwen_ids(tokens),
        text_config=text(tokens),
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "patch_size": 14,
            "window_size": 56,
            "fullatt_block_indexes": [1],
            "tokens_per_second": 2,
        },
    )
    model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    return randomized(model), processor(tokens, transformers.Qwen2_5_VLProcessor)
