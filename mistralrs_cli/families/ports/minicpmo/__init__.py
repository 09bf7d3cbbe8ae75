"""MiniCPM-o 2.6, what it sees and hears (its speech is left out): SigLIP and Whisper before a Qwen2 decoder.

Source: the model card and published files of openbmb/MiniCPM-o-2_6, MiniCPM-V (arXiv 2408.01800), NaViT (2307.06304).
"""

from __future__ import annotations

from .configuration import MiniCPMOConfig
from .modeling import MiniCPMOForConditionalGeneration

__all__ = ["MiniCPMOConfig", "MiniCPMOForConditionalGeneration", "register"]


def register() -> None:
    """Make ``model_type: minicpmo`` known to transformers; again is harmless."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMultimodalLM

    AutoConfig.register(MiniCPMOConfig.model_type, MiniCPMOConfig, exist_ok=True)
    for auto in (AutoModelForMultimodalLM, AutoModelForCausalLM):
        auto.register(MiniCPMOConfig, MiniCPMOForConditionalGeneration, exist_ok=True)
