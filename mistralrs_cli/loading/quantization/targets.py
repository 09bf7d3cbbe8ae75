"""Which weights of a model can be quantized, and what part each has: found by structure, not by family."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..decoder_layers import decoder_layers, layer_of
from .embeddings import QuantizedEmbedding
from .layers import QuantizedExperts
from .plan import Role, Weight

PER_LAYER = "embed_tokens_per_layer"
"""The last part of the name of Gemma's embeddings that every layer has of its own."""
SMALL = 64  # layers thinner than this weigh nothing, and tend to be gates


def weights(model: Any) -> list[Weight]:
    """Every weight of a linear layer, of embeddings of tokens, every stack of experts, in the order of the model."""
    layers = decoder_layers(model)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    found = []
    for name, module in model.named_modules():
        if type(module) is nn.Linear:
            layer, inner = layer_of(name, layers)
            thin = min(module.in_features, module.out_features) < SMALL
            role: Role = (
                "head" if module is head else "excluded" if layer is None or thin or is_router(inner) else "body"
            )
            found.append(Weight(f"{name}.weight", role, layer))
        elif QuantizedEmbedding.readable(module) and (module is embedding or name.endswith(f".{PER_LAYER}")):
            found.append(Weight(f"{name}.weight", "embedding"))
        elif QuantizedExperts.readable(module):
            layer, _ = layer_of(name, layers)
            role = "excluded" if layer is None else "experts"
            found += [Weight(f"{name}.{stacked}", role, layer) for stacked in QuantizedExperts.NAMES]
    return found


def is_router(inner: str) -> bool:
    """Whether a layer chooses between others, or adapts one: routers, gates of shared experts, LoRA."""
    return any(
        "router" in part or part == "gate" or part.endswith("expert_gate") or part.startswith("lora")
        for part in inner.split(".")
    )
