"""Which modules are the layers of the text decoder: in a model, and by the names of weights in files."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedModel

if TYPE_CHECKING:
    import torch

STORED = re.compile(r"(?P<layers>(?:.*?\.)?(?:layers|blocks|h))\.(?P<number>\d+)\.(?P<inner>.+)")
VOCABULARY = re.compile(
    r"(?P<outer>.*\.|)(?:embed_tokens|embed_tokens_per_layer|tok_embeddings|word_embeddings|wte|lm_head)\.weight"
)
OUTSIDE = ("encoder", "tower", "apm", "vpm", "mtp", "tts")
"""Words in the names of lists of layers that do not decode text: towers, prediction heads, speech."""


@dataclass(frozen=True, slots=True)
class LayerWeight:
    """A weight of a text layer: the name of the list of ``layers``, its ``number`` there, its name ``inner`` in it."""

    layers: str
    number: int
    inner: str


def decoder_layers(model: Any) -> str:
    """The full name of the list of text layers: ``model.language_model.layers`` in most vision models.

    It is the list nearest to the top of the text decoder that has as many entries as the configuration has layers.
    Raises ``UnsupportedModel`` where there is none.
    """
    import torch

    decoder = model.get_decoder()
    count = model.config.get_text_config(decoder=True).num_hidden_layers
    prefix = next((f"{name}." for name, module in model.named_modules() if module is decoder and name), "")
    lists = [
        f"{prefix}{name}"
        for name, module in decoder.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count and not outside(name)
    ]
    if not lists:
        raise UnsupportedModel(
            f"A {type(model).__name__} has no list of {count} text layers.",
            "Load it on one device and without --quant; if that fails, this version does not know its layout.",
        )
    return min(lists, key=lambda name: name.count("."))


def decoder_of(model: Any) -> torch.nn.Module:
    """The module that holds the list of text layers."""
    found: torch.nn.Module = model.get_submodule(decoder_layers(model).rpartition(".")[0])
    return found


def layer_of(module: str, layers: str) -> tuple[int | None, str]:
    """The text layer that a module belongs to and its name inside of that; ``None`` outside the list ``layers``."""
    if not module.startswith(f"{layers}."):
        return None, module
    number, _, inner = module.removeprefix(f"{layers}.").partition(".")
    return int(number), inner


def layer_weight(name: str, towers: Collection[str] = ()) -> LayerWeight | None:
    """What a weight's name in the files says of its text layer; ``None`` for those of towers and all else."""
    match = STORED.fullmatch(name)
    if match is None or outside(match["layers"], towers):
        return None
    return LayerWeight(match["layers"], int(match["number"]), match["inner"])


def is_vocabulary(name: str, towers: Collection[str] = ()) -> bool:
    """Whether a weight in the files, by its name, is an embedding of the text decoder's tokens, or its output head."""
    match = VOCABULARY.fullmatch(name)
    return match is not None and not outside(match["outer"], towers)


def outside(layers: str, towers: Collection[str] = ()) -> bool:
    """Whether a list of layers, by its name, belongs to something else than the text decoder."""
    return any(word in layers for word in (*towers, *OUTSIDE))
