"""Private names of transformers and PyTorch for running a model. ``tests/drift/test_private_names.py`` checks them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def prefill(model: Any, ids: Tensor, generation_config: Any, arguments: dict[str, Any]) -> Any:
    """The model's outputs for a prompt ``ids`` int64 [1, tokens], as ``generate`` computes them; fills its cache."""
    return model._prefill(ids, generation_config, arguments)


def next_arguments(model: Any, outputs: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The model's keyword arguments after a forward pass: its cache, and positions that go on by one token."""
    updated: dict[str, Any] = model._update_model_kwargs_for_generation(outputs, arguments, is_encoder_decoder=False)
    return updated


def position_ids(model: Any, ids: Tensor, inputs: dict[str, Any]) -> Tensor:
    """The position ids of a prompt with its media: [1, tokens], or [axes, 1, tokens] for rotary positions by axis."""
    found: Tensor = model._prepare_position_ids_for_generation(ids, inputs)
    return found


def attention(model: Any) -> str:
    """The name of the attention function that a model uses."""
    return str(model.config._attn_implementation)


def takes_attention(model: Any) -> bool:
    """Whether a model looks its attention function up by its name for each call."""
    return bool(model._can_set_attn_implementation())


def set_attention(model: Any, name: str) -> None:
    """Let a model use another attention function. ``set_attn_implementation`` changes the towers inside as well."""
    model.config._attn_implementation_internal = name


def flash_attention(
    query: Tensor, key: Tensor, value: Tensor, *, causal: bool, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """PyTorch's attention on a CPU, and the logsumexp of each query's scores, float32 (batch, heads, queries)."""
    attended, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, is_causal=causal, scale=scaling
    )
    return attended, sums


def has_hooks(module: torch.nn.Module) -> bool:
    """Whether something watches or changes a module's calls."""
    return bool(module._forward_hooks or module._forward_pre_hooks)
