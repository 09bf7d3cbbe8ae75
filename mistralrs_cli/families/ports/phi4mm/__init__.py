"""Phi-4 Multimodal as it is published: the layout of the hub's main branch, with its adapters inside.

Source: the model card and the files of microsoft/Phi-4-multimodal-instruct, and the technical report
(arXiv 2503.01743): a text decoder, an image and audio encoder, and two low-rank adapters on every linear layer of
the decoder, of which images take one, audio the other, and text none.
"""

from __future__ import annotations

from .configuration import Phi4MMConfig
from .modeling import RENAMED, Phi4MMForCausalLM

__all__ = ["Phi4MMConfig", "Phi4MMForCausalLM", "register"]


def register() -> None:
    """Make ``model_type: phi4mm`` known to transformers; again is harmless."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM
    from transformers.conversion_mapping import register_checkpoint_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming

    AutoConfig.register(Phi4MMConfig.model_type, Phi4MMConfig, exist_ok=True)
    for auto in (AutoModelForMultimodalLM, AutoModelForCausalLM):
        auto.register(Phi4MMConfig, Phi4MMForCausalLM, exist_ok=True)
    renamings: list[WeightConverter | WeightRenaming] = [
        WeightRenaming(source_patterns=old, target_patterns=new) for old, new in RENAMED
    ]
    register_checkpoint_conversion_mapping(Phi4MMForCausalLM.__name__, renamings, overwrite=True)
