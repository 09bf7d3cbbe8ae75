"""Phi-3.5 Vision (and Phi-3 Vision): a CLIP tower over the tiles of an image, before the Phi-3 decoder.

Source: the model card and published files of microsoft/Phi-3.5-vision-instruct, the technical report (arXiv
2404.14219), and InternLM-XComposer2-4KHD (arXiv 2404.06512), whose way of tiling it takes.
"""

from __future__ import annotations

from .configuration import Phi3VConfig
from .modeling import Phi3VForCausalLM

__all__ = ["Phi3VConfig", "Phi3VForCausalLM", "register"]


def register() -> None:
    """Make ``model_type: phi3_v`` known to transformers; again is harmless."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM

    AutoConfig.register(Phi3VConfig.model_type, Phi3VConfig, exist_ok=True)
    for auto in (AutoModelForMultimodalLM, AutoModelForCausalLM):
        auto.register(Phi3VConfig, Phi3VForCausalLM, exist_ok=True)
