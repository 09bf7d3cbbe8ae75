"""Private names of transformers, accelerate and torch by which models are loaded.

``tests/drift/test_private_names.py`` checks each of them.
"""

from __future__ import annotations

import platform
from typing import Any


def model_class(automodel: Any, config: Any) -> Any:
    """The class of model that an automodel takes for a configuration."""
    return automodel._model_mapping[type(config)]


def set_attention(config: Any, implementation: str | None) -> None:
    """Choose the attention of a configuration and of its declared parts; ``None`` leaves it to each model class."""
    config._attn_implementation = implementation


def replace_vocabulary(tokenizer: Any, vocabulary: Any) -> None:
    """Let a fast tokenizer of transformers encode with another ``tokenizers.Tokenizer``."""
    tokenizer._tokenizer = vocabulary


def is_offloaded(module: Any) -> bool:
    """Whether accelerate brings a module's weights to the device that computes for each call."""
    return hasattr(module, "_hf_hook")


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; oneDNN also claims those that only emulate it with AVX-512."""
    import torch

    if platform.machine().lower() in ("x86_64", "amd64"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
