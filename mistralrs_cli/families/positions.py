"""What a configuration says of a decoder's rotary positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LONG_ROPE = {"longrope", "su"}


def rope_types(text_config: Mapping[str, Any]) -> Iterator[str]:
    """The kinds of rotary positions a decoder uses, in old and new configurations, for all layers or for each kind."""
    for key in ("rope_parameters", "rope_scaling"):
        parameters = text_config.get(key) or {}
        for named in (parameters, *(value for value in parameters.values() if isinstance(value, dict))):
            yield str(named.get("rope_type") or named.get("type"))


def stretched(text_config: Mapping[str, Any], length: int) -> int:
    """How far positions reach that were stretched past the length they were trained on (YaRN, dynamic NTK).

    With YaRN ``max_position_embeddings`` is often left as it was before; with dynamic NTK it has to be.
    """
    for key in ("rope_parameters", "rope_scaling"):
        parameters = text_config.get(key) or {}
        kind, factor = parameters.get("rope_type") or parameters.get("type"), parameters.get("factor")
        if kind in ("yarn", "dynamic") and factor:
            trained = parameters.get("original_max_position_embeddings") if kind == "yarn" else None
            return int(factor * (trained or length))
    return 0
