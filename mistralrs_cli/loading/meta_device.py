"""A model made on the meta device without what torch computes there by sympy, whose 600 modules take half a second.

That is what rotary positions are made of, ``1 / base ** (arange(…) / width)``, of whose numbers nothing but shape and
dtype matters there, and first weights of embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

ARITHMETIC = (Tensor.div, Tensor.mul, Tensor.__rdiv__, Tensor.__rpow__, torch.exp, torch.pow)
FILLING = (nn.init.normal_, nn.init.trunc_normal_)
LARGEST = 1 << 16  # numbers of a tensor for which a CPU stands in


class WithoutSympy(TorchFunctionMode):
    """While it is entered, small tensors of the meta device have the shape and dtype that a CPU gives them."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        device = named.get("device")
        if func in FILLING:
            filled = named["tensor"] if "tensor" in named else args[0]
            return filled if filled.is_meta else func(*args, **named)
        if func is torch.empty_like and named.keys() == {"device"} and device is not None and is_plain(args[0]):
            return torch.empty(args[0].shape, dtype=args[0].dtype, device=device)
        if func is torch.arange and device is not None and is_meta(device) and "out" not in named:
            found = torch.arange(*args, **named | {"device": "cpu"})
        elif func in ARITHMETIC and not named and any(map(is_small, args)) and all(map(stands_in, args)):
            found = func(*(torch.ones(each.shape, dtype=each.dtype) if is_small(each) else each for each in args))
        else:
            return func(*args, **named)
        return torch.empty(found.shape, dtype=found.dtype, device="meta", requires_grad=found.requires_grad)


def is_meta(device: Any) -> bool:
    """Whether a device, as torch takes it, is the meta device."""
    return torch.device(device).type == "meta"


def is_plain(each: Any) -> bool:
    """Whether this is an ordinary contiguous tensor of the meta device."""
    return type(each) in (Tensor, nn.Parameter) and each.is_meta and each.is_contiguous()


def is_small(each: Any) -> bool:
    """Whether this is a small one of them."""
    return is_plain(each) and each.numel() <= LARGEST


def stands_in(each: Any) -> bool:
    """Whether this is a number, or a tensor for which a CPU stands in."""
    return isinstance(each, int | float) or is_small(each)
