"""Dynamic NTK rotary positions: a model keeps the frequencies of the longest sequence it has run.

That may have been another request's. What a sequence is given must not depend on it.
"""

from __future__ import annotations

from typing import Any


def dynamic_rope_modules(model: Any) -> list[Any]:
    """The modules of a model that keep frequencies from one forward pass to the next."""
    return [module for module in model.modules() if getattr(module, "rope_type", None) == "dynamic"]


def reset_dynamic_rope(modules: list[Any]) -> None:
    """Set their frequencies to those that the model was loaded with."""
    for module in modules:
        module.inv_freq = module.original_inv_freq.to(module.inv_freq.device)
        module.max_seq_len_cached = module.original_max_seq_len
