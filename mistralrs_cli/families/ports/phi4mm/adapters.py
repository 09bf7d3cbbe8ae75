"""Low-rank adapters beside linear layers, one of which a whole model uses at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Selection:
    """Which adapter all layers of a model use now; ``None`` is none. ``names`` are those there are."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.name: str | None = None

    def choose(self, name: str | None) -> None:
        """Use this adapter, or none where there is none of that name."""
        self.name = name if name in self.names else None


class AdaptedLinear(nn.Module):
    """A linear layer, perhaps quantized, and low-rank updates of it (arXiv 2106.09685): ``W x + scale · B A x``."""

    def __init__(self, base: Any, adapters: Mapping[str, tuple[int, float]], selection: Selection) -> None:
        super().__init__()
        self.base_layer = base
        first = {name: nn.Linear(base.in_features, rank, bias=False) for name, (rank, _) in adapters.items()}
        second = {name: nn.Linear(rank, base.out_features, bias=False) for name, (rank, _) in adapters.items()}
        self.lora_A = nn.ModuleDict(first)
        self.lora_B = nn.ModuleDict(second)
        self.scales = {name: scale for name, (_, scale) in adapters.items()}
        self.selection = selection

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """``states`` [..., in features] to [..., out features], with the selected adapter."""
        out: torch.Tensor = self.base_layer(states)
        name = self.selection.name
        if name is None:
            return out
        first, second = self.lora_A[name], self.lora_B[name]
        update: torch.Tensor = second(first(states.to(next(first.parameters()).dtype)))
        return out + (self.scales[name] * update).to(out.dtype)


def adapt(model: Any, adapters: Mapping[str, tuple[int, float]]) -> None:
    """Put adapters (rank and scale by name) beside every linear layer of a Phi decoder, as ``model.selection``."""
    model.selection = Selection(tuple(adapters))
    for layer in model.model.layers if adapters else ():
        for block, names in ((layer.self_attn, ("qkv_proj", "o_proj")), (layer.mlp, ("gate_up_proj", "down_proj"))):
            for name in names:
                setattr(block, name, AdaptedLinear(getattr(block, name), adapters, model.selection))
