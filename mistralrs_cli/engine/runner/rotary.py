"""Rotary positions that remember: dynamic NTK keeps the frequencies of the longest sequence a model has seen.

That sequence may have been somebody else's. What a row is given must not depend on it.
"""

from __future__ import annotations

from typing import Any


def dynamic_rope_modules(model: Any) -> list[Any]:
    """The modules of a model that keep frequencies from one forward pass to the next."""
    return [module for module in model.modules() if getattr(module, "rope_type", None) == "dynamic"]


def forget(modules: list[Any]) -> None:
    """Take them back to where they were when the model was loaded."""
    for module in modules:
        module.inv_freq = module.original_inv_freq.to(module.inv_freq.device)
        module.max_seq_len_cached = module.original_max_seq_len
