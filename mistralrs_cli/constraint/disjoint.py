"""Whether the parts of a combination exclude each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .closing import Resolve, target


def disjoint(options: list[Any], resolve: Resolve) -> bool:
    """Whether at most one option can match: by their types, or by a property that each of them fixes."""
    parts = [target(option, resolve) for option in options]
    if len(parts) < 2:
        return True
    if any(part is None for part in parts):
        return False
    kinds = [types(part) for part in parts if part is not None]
    if all(kinds) and sum(map(len, kinds)) == len(set().union(*kinds)):
        return True
    fixed = [fixed_values(part) for part in parts if part is not None]
    shared = set(fixed[0]).intersection(*fixed[1:])
    return any(
        sum(len(one[name]) for one in fixed) == len(set().union(*(one[name] for one in fixed))) for name in shared
    )


def types(part: Mapping[str, Any]) -> set[str]:
    """The types a schema allows; an integer is a number. Empty where it does not say."""
    said = part.get("type")
    found = (
        {said}
        if isinstance(said, str)
        else {one for one in said if isinstance(one, str)}
        if isinstance(said, list)
        else set()
    )
    return {"number" if one == "integer" else one for one in found}


def fixed_values(part: Mapping[str, Any]) -> dict[str, set[str]]:
    """For each required property with a fixed choice of values, those values."""
    found: dict[str, set[str]] = {}
    properties = part.get("properties")
    required = part.get("required") or ()
    for name, schema in properties.items() if isinstance(properties, Mapping) else ():
        if name in required and isinstance(schema, Mapping):
            if "const" in schema:
                found[name] = {repr(schema["const"])}
            elif isinstance(schema.get("enum"), list):
                found[name] = {repr(value) for value in schema["enum"]}
    return found
