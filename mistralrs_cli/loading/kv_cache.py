"""What ``--kv-cache-type`` stores, by the configuration: numbers of bits, and which layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import OptionError
from ..options import KVCacheType

GROUP = 32  # numbers with a scale of their own, as in ggml's Q8_0
SCALE_BYTES = 2


def group_size(width: int) -> int:
    """How many neighbouring numbers of a head of ``width`` numbers share a scale: 32, or what divides it."""
    shared = math.gcd(width, GROUP)
    return shared if shared >= 8 else width


def bytes_per_number(kind: KVCacheType, width: int, head: int) -> float:
    """Bytes that a number in the cache takes, scales and all, for heads of ``head`` numbers of ``width`` bytes each."""
    return 1 + SCALE_BYTES / group_size(head) if kind == "q8" else width


def layer_kinds(text: Mapping[str, Any], count: int) -> Sequence[str]:
    """transformers' names for what each of ``count`` layers attends to."""
    types = list(text.get("layer_types") or ())[:count]
    return types + ["full_attention"] * (count - len(types))


def check_kv_cache(name: str, text: Mapping[str, Any], kind: KVCacheType, count: int) -> str | None:
    """A note for the user where not all layers of a model can keep 8 bits. Raises ``OptionError`` where none can."""
    if kind == "auto":
        return None
    kinds = layer_kinds(text, count)
    crossing = set(text.get("cross_attention_layers") or ())
    full = sum(kind == "full_attention" and index not in crossing for index, kind in enumerate(kinds))
    if not full:
        others = " and ".join(sorted({kind.replace("_", " ") for kind in kinds}))
        raise OptionError(
            f"--kv-cache-type {kind}: {name} has no layer that attends to all tokens, only {others}.",
            "Leave it out: such layers keep a fixed amount of memory, however long the context is.",
        )
    return None if full == count else f"KV cache {kind} in {full} of {count} layers; the others keep a fixed amount"
