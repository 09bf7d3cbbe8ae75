"""Gemma 4 with experts: no per-layer inputs, no shared layers, pictures read in both directions."""

from typing import Any

from . import gemma4

LACKS = ("audio",)  # as the published configuration says


def build() -> tuple[Any, Any]:
    """Two of four experts a token."""
    return gemma4.build(
        enable_moe_block=True,
        num_experts=4,
        top_k_experts=2,
        moe_intermediate_size=32,
        hidden_size_per_layer_input=0,
        num_kv_shared_layers=0,
        attention_k_eq_v=True,
        num_global_key_value_heads=1,
        use_bidirectional_attention="vision",
    )
