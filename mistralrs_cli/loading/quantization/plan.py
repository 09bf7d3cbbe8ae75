"""Which weight gets which type: one pure function over names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .mixes import mixed
from .types import QuantType

Role = Literal["body", "experts", "head", "embedding", "excluded"]
"""A weight's part in the model. An ``embedding`` is of tokens. ``excluded`` are towers, projectors, routers and the
like: never quantized."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight that could be quantized, by its full name (``model.layers.3.mlp.up_proj.weight``).

    ``layer`` is its number in the stack of text layers, ``None`` for what lies outside.
    """

    name: str
    role: Role
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """What a topology says about some weights: a type, or ``None`` for full precision.

    Either ``layers``, a range of text layers, or ``pattern``, a regular expression found in a weight's full name.
    """

    type: QuantType | None
    layers: range | None = None
    pattern: str | None = None


def plan(
    weights: Iterable[Weight],
    default: QuantType | None,
    *,
    experts_only: bool = False,
    pins: Sequence[Pin] = (),
    device: str = "cpu",
    eight: QuantType = QuantType.INT8,
) -> dict[str, QuantType | None]:
    """The type of every weight; ``None`` keeps it as it is.

    Body and experts get ``default``; the output head ``eight``, the type of 8 bits that is multiplied fastest, since it
    is read for every token and 8 bits do it no measurable harm; embeddings 8 bits, of which a token reads one row. With
    ``experts_only`` only routed experts get anything. Pins come on top: ranges of layers in the order of their ends,
    leaving excluded weights alone; then patterns in the order given, which reach every weight. Where a size is
    requested each part of a layer gets what the size's mix says for this kind of ``device``.
    """
    ranges = sorted(
        (pin for pin in pins if pin.layers is not None), key=lambda pin: pin.layers.stop if pin.layers else 0
    )
    patterns = [(re.compile(pin.pattern), pin.type) for pin in pins if pin.pattern is not None]
    planned: dict[str, QuantType | None] = {}
    for weight in weights:
        kind = default_type(weight.role, default, experts_only, eight)
        if weight.role in ("body", "experts"):
            for pin in ranges:
                if pin.layers is not None and weight.layer in pin.layers:
                    kind = pin.type
        for pattern, pinned in patterns:
            if pattern.search(weight.name):
                kind = pinned
        planned[weight.name] = None if kind is None else mixed(kind, weight.name, device, eight)
    return planned


def default_type(
    role: Role, default: QuantType | None, experts_only: bool, eight: QuantType = QuantType.INT8
) -> QuantType | None:
    """What a weight gets where nothing is pinned."""
    match role:
        case "experts":
            return default
        case "body":
            return None if experts_only else default
        case "head" | "embedding":
            if experts_only or default is None:
                return None
            if role == "embedding":
                return QuantType.Q8_0
            return default if default in (QuantType.Q8_0, QuantType.INT8) else eight
        case "excluded":
            return None
