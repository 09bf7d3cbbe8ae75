"""Which weights of a model can be quantized, and what part each has: told by structure, not by family."""

from __future__ import annotations

from typing import Any

from torch import nn

from .layers import QuantizedExperts
from .plan import Role, Weight

SMALL = 64  # layers thinner than this weigh nothing, and tend to be gates


def weights(model: Any) -> list[Weight]:
    """Every weight of a linear layer, and every stack of experts, in the order of the model."""
    stack = text_stack(model)
    head = model.get_output_embeddings()
    found = []
    for name, module in model.named_modules():
        if type(module) is nn.Linear:
            layer, inner = position(name, stack)
            thin = min(module.in_features, module.out_features) < SMALL
            role: Role = "head" if module is head else "spared" if layer is None or thin or steers(inner) else "body"
            found.append(Weight(f"{name}.weight", role, layer))
        elif QuantizedExperts.readable(module):
            layer, _ = position(name, stack)
            role = "spared" if layer is None else "experts"
            found += [Weight(f"{name}.{stacked}", role, layer) for stacked in QuantizedExperts.NAMES]
    return found


def text_stack(model: Any) -> str:
    """The full name of the list of text layers: ``model.language_model.layers`` in most vision models.

    It is the list nearest to the top of the text decoder that has as many entries as the configuration has layers.
    """
    decoder = model.get_decoder()
    layers = model.config.get_text_config(decoder=True).num_hidden_layers
    prefix = next((name for name, module in model.named_modules() if module is decoder), "")
    lists = [
        name for name, module in decoder.named_modules() if isinstance(module, nn.ModuleList) and len(module) == layers
    ]
    if not lists:
        raise ValueError(f"{type(model).__name__} has no list of {layers} text layers")
    nearest = min(lists, key=lambda name: name.count("."))
    return f"{prefix}.{nearest}" if prefix else nearest


def position(name: str, stack: str) -> tuple[int | None, str]:
    """A module's text layer and its name inside of that; ``None`` for a module outside the stack."""
    if not name.startswith(f"{stack}."):
        return None, name
    layer, _, inner = name.removeprefix(f"{stack}.").partition(".")
    return int(layer), inner


def steers(inner: str) -> bool:
    """Whether a layer chooses between others, or adapts one: routers, gates of shared experts, LoRA."""
    return any(
        "router" in part or part == "gate" or part.endswith("expert_gate") or part.startswith("lora")
        for part in inner.split(".")
    )
