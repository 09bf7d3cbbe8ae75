"""Which properties an object may have that does not say it: those that its schema, and all it is combined with, names.

JSON Schema lets an object have any further properties unless it says ``"additionalProperties": false``, which few
people write: a model held to that runs on with properties of its own until its tokens are used up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Resolve = Callable[[str], Any]
"""What a ``$ref`` points to; ``None`` where that is not known."""

Known = dict[tuple[str, int], frozenset[str]]
"""The names behind references that were looked up already, by how deep one may look."""

COMBINATIONS = ("allOf", "anyOf", "oneOf")
OPEN = ("additionalProperties", "patternProperties", "unevaluatedProperties")
DEEPEST = 4  # combinations inside of each other whose names are looked for
LONGEST = 8  # references one behind the other


def closed(node: dict[str, Any], others: frozenset[str]) -> dict[str, Any]:
    """The schema of an object that may have its own properties and ``others``; any other schema as it is.

    ``others`` are what the rest of a combination names: an object that satisfies all of it has all their properties.
    """
    if not isinstance(node.get("properties"), Mapping) or any(keyword in node for keyword in OPEN):
        return node
    required = frozenset(name for name in node.get("required") or () if isinstance(name, str))
    more = sorted((others | required) - node["properties"].keys())
    return node | {"properties": dict(node["properties"]) | dict.fromkeys(more, True), "additionalProperties": False}


def target(option: Any, resolve: Resolve) -> dict[str, Any] | None:
    """A part of a combination behind its references; ``None`` where it is no schema of its own."""
    for _ in range(LONGEST):
        if not isinstance(option, Mapping):
            return None
        if not isinstance(option.get("$ref"), str):
            return dict(option)
        option = resolve(option["$ref"])
    return None


def names(option: Any, resolve: Resolve, known: Known, depth: int = DEEPEST) -> frozenset[str]:
    """The properties that a schema names, and the parts of its combinations."""
    reference = option.get("$ref") if isinstance(option, Mapping) else None
    if isinstance(reference, str) and (reference, depth) in known:
        return known[reference, depth]
    found = target(option, resolve)
    if found is None or depth == 0:
        return frozenset()
    properties = found.get("properties")
    own = frozenset(properties if isinstance(properties, Mapping) else ())
    named = own.union(*(combined(found, keyword, resolve, known, depth - 1) for keyword in COMBINATIONS))
    if isinstance(reference, str):
        known[reference, depth] = named
    return named


def combined(
    node: Mapping[str, Any], keyword: str, resolve: Resolve, known: Known, depth: int = DEEPEST
) -> frozenset[str]:
    """The properties that the parts of one combination name."""
    options = node.get(keyword)
    if not isinstance(options, list):
        return frozenset()
    return frozenset().union(*(names(option, resolve, known, depth) for option in options))
