"""Watching the inputs of a running model's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .sums import Sums


@contextmanager
def observing(model: Any, sums: Sums) -> Iterator[None]:
    """Add up the inputs of all weights that could be quantized, as long as the block lasts.

    Experts must have been loaded as ``QuantizedExperts`` (``load`` with ``observable``): others do not say which
    inputs go to which.
    """
    from ..loading.quantization.layers import QuantizedExperts
    from ..loading.quantization.targets import weights

    handles = []
    watched: list[QuantizedExperts] = []
    for weight in weights(model):
        if weight.role not in ("body", "experts"):
            continue
        path, _, parameter = weight.name.rpartition(".")
        module = model.get_submodule(path)
        if isinstance(module, QuantizedExperts):
            sums.expect(weight.name, module.num_experts, module.columns(parameter))
            module.observer = partial(expert_inputs, sums, path)
            watched.append(module)
        else:
            sums.expect(weight.name, module.in_features)
            handles.append(module.register_forward_pre_hook(before(sums, weight.name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in watched:
            module.observer = None


def before(sums: Sums, name: str) -> Callable[[Any, tuple[Any, ...]], None]:
    """A hook that counts the input of the linear layer whose weight has a ``name``."""

    def hook(module: Any, inputs: tuple[Any, ...]) -> None:
        sums.add(name, inputs[0])

    return hook


def expert_inputs(sums: Sums, path: str, parameter: str, inputs: Any, expert: int) -> None:
    """Count what one expert multiplies."""
    sums.add(f"{path}.{parameter}", inputs, expert)
