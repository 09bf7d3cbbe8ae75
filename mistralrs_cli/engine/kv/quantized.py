"""Keys and values in 8 bits: ``--kv-cache-type q8``.

Every token's keys and values are quantized on their own, before any query sees them, in the token's own forward pass
as well. So what a token attends to depends neither on what it was batched with nor on whether its cache was kept:
a token's bytes never change.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DummyLayer, DynamicLayer

from ...loading.kv_cache import group_size
from .preallocated import PreallocatedLayer

LARGEST = 127  # of eight bits with a sign, symmetric


class Scratch:
    """Memory for the keys and values that one layer attends to, used by one layer after the other."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[Any, ...], torch.Tensor] = {}

    def tensor(self, name: str, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A tensor of any content, over what the last tensor by this name was over."""
        key, numbers = (name, dtype, device), torch.Size(shape).numel()
        kept = self._buffers.get(key)
        if kept is None or kept.numel() < numbers:
            self._buffers.pop(key, None)
            kept = self._buffers[key] = torch.empty(numbers * 5 // 4, dtype=dtype, device=device)
        return kept[:numbers].view(torch.Size(shape))


class QuantizedLayer(PreallocatedLayer):
    """A full-attention layer whose ``contents`` are int8 keys, their scales, int8 values and theirs.

    Scales are bfloat16 [rows, heads, tokens, groups]. ``scratch`` is where keys and values are dequantized to; without
    it they get memory of their own, as they must where another layer reads them, too.
    """

    def __init__(self, scratch: Scratch | None) -> None:
        DynamicLayer.__init__(self)
        self._scratch = scratch
        self._used = 0

    def _show(self) -> None:
        self.keys, _, self.values, _ = self.contents

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Append ``[rows, heads, new tokens, head size]``; all keys and values, dequantized."""
        parts = (*quantize(key_states), *quantize(value_states))
        if self.is_initialized:
            self.append(*parts)
        else:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.adopt(*parts)
            self.is_initialized = True
        keys, key_scales, values, value_scales = self.contents
        return self._dequantized("keys", keys, key_scales), self._dequantized("values", values, value_scales)

    def _dequantized(self, name: str, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        if self._scratch is None:
            target = torch.empty(codes.shape, dtype=self.dtype, device=codes.device)
        else:
            target = self._scratch.tensor(name, codes.shape, self.dtype, codes.device)
        return dequantize(codes, scales, target)

    def holding(self, *parts: torch.Tensor) -> QuantizedLayer:
        """Another layer over these contents, which it never writes to: it has no room for more."""
        other = copy.copy(self)
        other.hold(*parts)
        return other

    def hold(self, *parts: torch.Tensor) -> None:
        """Be over these contents, without room for more."""
        self._buffers, self._used = parts, parts[0].shape[-2]
        self._show()


def quantize(states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 like ``states`` [..., tokens, head size], and bfloat16 scales [..., tokens, groups of neighbours].

    The numbers are divided by the scale as it is kept, so its rounding adds no error.
    """
    width = states.shape[-1]
    groups = states.float().unflatten(-1, (-1, group_size(width)))
    scales = (groups.abs().amax(-1) / LARGEST).bfloat16()
    steps = scales.float().unsqueeze(-1)
    codes = (groups / steps.masked_fill(steps == 0, 1.0)).round_().clamp_(-LARGEST, LARGEST)
    return codes.flatten(-2).to(torch.int8), scales


def dequantize(codes: torch.Tensor, scales: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``target``, which becomes what ``quantize`` was given, nearly."""
    target.copy_(codes)
    target.unflatten(-1, (scales.shape[-1], -1)).mul_(scales.to(target.dtype).unsqueeze(-1))
    return target


def use_quantized(cache: Cache, scratch: Scratch, others: Collection[int]) -> None:
    """Let the empty full-attention layers of a cache keep 8 bits, but for the ``others``, by index."""
    layers: list[Any] = list(cache.layers)
    own = None if any(isinstance(layer, DummyLayer) for layer in layers) else scratch
    for index, layer in enumerate(layers):
        if type(layer) is DynamicLayer and not layer.is_initialized and index not in others:
            cache.layers[index] = QuantizedLayer(own)
