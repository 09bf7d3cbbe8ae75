"""What the references of a JSON schema (``$ref``) lead to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ..errors import GrammarError

MOST_RINGS = 300  # different references of a schema in which rings are looked for


class References:
    """The references of one schema."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.rings: dict[str, bool] = {}
        self.ringless = len(values_of(root, "$ref")) > MOST_RINGS
        self.ids = frozenset(one.partition("#")[0] for one in values_of(root, "$id", "id"))
        self.anchors = frozenset(values_of(root, "$anchor", "$dynamicAnchor"))

    def here(self, reference: str, place: str) -> bool:
        """Whether a reference stays within this schema. Raises ``GrammarError`` where it then points to nothing."""
        address, _, fragment = reference.partition("#")
        if address and address not in self.ids:
            return False
        if fragment and not fragment.startswith("/"):
            return fragment in self.anchors
        nested = bool(self.ids - {root_id(self.root)})  # a pointer may start from a part with an address of its own
        if not nested and fragment and self.resolve(reference) is None:
            raise GrammarError(f"{place}.$ref points to nothing: {reference}", "Correct it, or define it there.")
        return True

    def in_ring(self, reference: str) -> bool:
        """Whether what a reference points to refers to itself, at once or over others; not looked for among many."""
        if self.ringless:
            return False
        if reference not in self.rings:
            seen: set[str] = set()
            waiting = [reference]
            while waiting and reference not in seen:
                found = values_of(self.resolve(waiting.pop()), "$ref")
                waiting += found - seen
                seen |= found
            self.rings[reference] = reference in seen
        return self.rings[reference]

    def resolve(self, reference: str) -> Any:
        """What a pointer into this schema (``#/$defs/name``) means; ``None`` for other references."""
        address, _, fragment = reference.partition("#")
        if address and address != root_id(self.root):
            return None
        found: Any = self.root
        for step in fragment.split("/")[1:]:
            step = unquoted(step)
            if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, Mapping) and step in found:
                found = found[step]
            else:
                return None
        return found if not fragment or fragment.startswith("/") else None


def values_of(node: Any, *keywords: str) -> set[str]:
    """Every text that a schema has under any of some keywords."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            found |= {one[keyword] for keyword in keywords if isinstance(one.get(keyword), str)}
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def root_id(root: Any) -> str | None:
    """The address of the whole schema, where it has one."""
    name = root.get("$id", root.get("id")) if isinstance(root, Mapping) else None
    return name.partition("#")[0] if isinstance(name, str) else None


def unquoted(step: str) -> str:
    """A step of a JSON pointer inside a URL."""
    return unquote(step).replace("~1", "/").replace("~0", "~")
