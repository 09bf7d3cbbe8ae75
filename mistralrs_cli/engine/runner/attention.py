"""Attention of one token on a CPU, in the shapes that PyTorch is quick with.

Its kernel takes far longer for one row of queries than for several in bfloat16 (``benchmarks/decode_attention.py``).
Heads that share keys and values can be those rows; where none do, the row is there twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

OTHERS = ("softcap", "position_bias", "cache", "output_attentions")  # what is left to transformers where it is given


def install() -> None:
    """Have every model that attends with PyTorch's own function decode this way on a CPU."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS["sdpa"] = attend


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """What transformers' function of that name returns: (batch, queries, heads, width).

    ``query`` is (batch, heads, queries, width), ``key`` and ``value`` are (batch, those heads or fewer, tokens, width).
    """
    batch, heads, queries, _ = query.shape
    sharing = getattr(module, "num_key_value_groups", 1)
    if (
        queries > 1
        or query.device.type != "cpu"
        or heads != key.shape[1] * sharing
        or (sharing == 1 and query.dtype is torch.float32)
        or (attention_mask is not None and attention_mask.shape[1] != 1)
        or not all(given.get(name) is None or given[name] is False for name in OTHERS)
    ):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **given
        )
        return found
    rows = query.reshape(batch, -1, sharing, query.shape[-1]) if sharing > 1 else query.repeat(1, 1, 2, 1)
    attended = torch.nn.functional.scaled_dot_product_attention(
        rows, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
    )
    return attended[:, :, :sharing].reshape(batch, 1, heads, value.shape[-1]).contiguous(), None
