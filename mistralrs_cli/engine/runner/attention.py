"""Attention in the shapes that PyTorch is quick with, on a CPU.

One token: its kernel takes far longer for one row of queries than for several in bfloat16
(``benchmarks/decode_attention.py``). Heads that share keys and values can be those rows; where none do, the row is
there twice. On CUDA heads that share are such rows as well: else transformers copies keys and values for each of them.

Several tokens behind cached ones, as in a chunk of a prompt: with a mask the kernel takes a third longer than without,
and transformers copies the keys and values of heads that share them. Where the mask is only causal, the tokens attend
to the cached ones without a mask and to each other causally, and the two results are weighted by their logsumexp.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

import torch
from torch import Tensor

from ...errors import UnsupportedModel
from ...loading.decoder_layers import decoder_of
from . import compat

NAME = "mistralrs_sdpa"
"""What our function is called among transformers' attention functions, beside theirs."""

OTHERS = ("softcap", "position_bias", "cache", "output_attentions")  # what is left to transformers where it is given

COMPARES = re.compile(
    r'_attn_implementation (?:in \([^)]*"sdpa"|== "sdpa"(?!\s*(?:#[^\n]*\n)?\s*and \(logits_to_keep > 1))'
)
"""Code that does something else where attention goes by another name than ``sdpa``, as sparse attention does. Gemma 4
asks as well, but only where logits of several tokens are wanted, not of all: here they are of one or of all."""


def use_for(model: Any) -> bool:
    """Have a model's decoder attend with ``attend``; returns whether it does.

    Only where it attends with PyTorch's own function already, and in a way that a function by another name can replace.
    No other model in the process changes.
    """
    from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, mask)
    try:
        decoder = decoder_of(model)
    except UnsupportedModel:
        return False
    if not isinstance(decoder, PreTrainedModel):
        return False
    if compat.attention(decoder) == "sdpa" and compat.takes_attention(decoder) and not compares(decoder):
        compat.set_attention(decoder, NAME)
    return compat.attention(decoder) == NAME


def compares(decoder: torch.nn.Module) -> bool:
    """Whether the code of some layer compares the name of its attention with ``sdpa``."""
    names = {type(layer).__module__ for layer in decoder.modules()}
    try:
        sources = [inspect.getsource(sys.modules[name]) for name in names if not name.startswith("torch.")]
    except (KeyError, OSError, TypeError):  # code that cannot be read
        return True
    return any(COMPARES.search(source) for source in sources)


def mask(*given: Any, **named: Any) -> Tensor | None:
    """transformers' ``sdpa_mask``: bool (batch, 1, queries, tokens). One that is only causal gets ``causal = True``."""
    from transformers.masking_utils import sdpa_mask

    found: Tensor | None = sdpa_mask(*given, **named)
    if found is not None and found.device.type == "cpu" and is_causal(found):
        found.causal = True  # type: ignore[attr-defined]
    return found


def is_causal(mask: Tensor) -> bool:
    """Whether a mask bool (batch, 1, queries, tokens) lets several queries, the last of the tokens, see all before."""
    queries, tokens = mask.shape[-2:]
    if not 1 < queries < tokens or mask.shape[1] != 1:
        return False
    causal = torch.ones(queries, tokens, dtype=torch.bool).tril(tokens - queries)
    return torch.equal(mask, causal.expand(mask.shape))


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
    """What transformers' ``sdpa_attention_forward`` returns: (batch, queries, heads, width).

    ``query`` is (batch, heads, queries, width), ``key`` and ``value`` are (batch, those heads or fewer, tokens, width).
    """
    batch, heads, queries, _ = query.shape
    sharing = getattr(module, "num_key_value_groups", 1)
    device = query.device.type
    if (
        device not in ("cpu", "cuda")
        or (device == "cuda" and (queries > 1 or sharing == 1))
        or heads != key.shape[1] * sharing
        or (queries > 1 and attention_mask is None)
        or (attention_mask is not None and attention_mask.shape[1] != 1)
        or not all(given.get(name) is None or given[name] is False for name in OTHERS)
        or (queries == sharing == 1 and query.dtype is torch.float32)
    ):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **given
        )
        return found
    if queries > 1:
        if getattr(attention_mask, "causal", False) and dropout == 0 and key.shape == value.shape:
            attended = attend_behind(query, key, value, scaling)
        else:
            attended = torch.nn.functional.scaled_dot_product_attention(
                query, key, value, attention_mask, dropout, scale=scaling, enable_gqa=sharing > 1
            )
        return attended.transpose(1, 2).contiguous(), None
    rows = query.reshape(batch, -1, sharing, query.shape[-1]) if sharing > 1 else query.repeat(1, 1, 2, 1)
    attended = torch.nn.functional.scaled_dot_product_attention(
        rows, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
    )
    return attended[:, :, :sharing].reshape(batch, 1, heads, value.shape[-1]).contiguous(), None


def attend_behind(query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
    """Causal attention of the last tokens to all: (batch, heads, queries, width), as is ``query``.

    Softmax over two sets of tokens is the sum of both, weighted by their shares of all exponentials: Rabe and Staats,
    "Self-attention Does Not Need O(n^2) Memory" (2021).
    """
    batch, heads, queries, width = query.shape
    groups, tokens = key.shape[1:3]
    cached = tokens - queries
    own = (part[:, :, cached:].repeat_interleave(heads // groups, dim=1) for part in (key, value))
    attended, sums = compat.flash_attention(query, *own, causal=True, scaling=scaling)
    rows = query.reshape(batch, groups, -1, width)  # all heads that share keys and values: no mask tells them apart
    earlier, sums_earlier = compat.flash_attention(
        rows, key[:, :, :cached], value[:, :, :cached], causal=False, scaling=scaling
    )
    share = torch.sigmoid(sums - sums_earlier.reshape(sums.shape)).unsqueeze(-1)
    return torch.lerp(earlier.reshape(query.shape).float(), attended.float(), share).to(query.dtype)
