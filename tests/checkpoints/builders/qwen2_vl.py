"""Qwen2-VL."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized
from .qwen3_vl import QWEN, QWEN_TEMPLATE, qwen_ids


def build() -> tuple[Any, Any]:
    """Pictures and clips, 28 pixels and two frames to a token."""
    import transformers

    tokens = tokenizer(QWEN)
    config = transformers.Qwen2VLConfig(
        **qwen_ids(tokens),
        text_config=text(tokens),
        vision_config={
            "depth": 2,
            "embed_dim": 64,
            "hidden_size": 64,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 14,
        },
    )
    model = transformers.Qwen2VLForConditionalGeneration(config)
    return randomized(model), processor(tokens, transformers.Qwen2VLProcessor)


def text(tokens: Any) -> dict[str, Any]:
    """The decoder of the Qwen2 generation: three-axis rotary positions in sections."""
    rope = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 10000.0}
    shape = {key: value for key, value in TEXT.items() if key != "head_dim"}
    return {**shape, "vocab_size": len(tokens), "num_hidden_layers": 2, "rope_parameters": rope}


def processor(tokens: Any, kind: Any) -> Any:
    """The processor of Qwen2-VL and Qwen2.5-VL."""
    import transformers

    size = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 8}
    return kind(
        transformers.Qwen2VLImageProcessor(size=size, patch_size=14),
        tokens,
        transformers.Qwen2VLVideoProcessor(size=size, patch_size=14),
        chat_template=template(*QWEN_TEMPLATE),
    )
