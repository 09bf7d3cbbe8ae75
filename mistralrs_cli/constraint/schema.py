"""A JSON schema as far as a grammar can hold an answer to it, and what of it cannot be enforced."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import GrammarError
from .closing import COMBINATIONS, Known, closed, combined, names, target
from .disjoint import disjoint
from .patterns import refusal, without_assertions
from .references import References

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

GUIDANCE: JsonCompileOptions = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
    "coerce_one_of": True,
}
"""llguidance's options. White space as models write JSON in a line: a small model given none loses the sense of what it
says. What llguidance cannot hold an answer to is passed over."""

UNENFORCED = (
    *("uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"),
    *("propertyNames", "dependentRequired", "dependentSchemas", "dependencies"),
    *("not", "if", "then", "else", "$dynamicRef", "$recursiveRef"),
)
"""Keywords that no grammar of llguidance's holds an answer to."""

FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"})
"""Formats of texts that llguidance knows; to the standard any other is a remark."""

ONE = ("items", "additionalProperties", "additionalItems")
LISTS = ("prefixItems", "items")
NAMED = ("properties", "patternProperties", "$defs", "definitions")
STRUCTURE = frozenset({"$ref", "$defs", "definitions", "$schema", "$id", "id", "$anchor"})
"""Keywords that say where the parts of a schema are."""
NARROWING = frozenset(
    {"type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "items"}
    | {"prefixItems", "additionalItems", "allOf", "anyOf", "oneOf", "pattern", "format", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems"}
    | {"minProperties", "maxProperties"}
)
"""Keywords that narrow the values of a schema."""
COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
FARTHEST = 2**63
"""Integers of llguidance end before it."""
MOST_COPIES = 64  # parts behind references that are copied to be closed; a schema with more stays open there
ASSERTIVE = re.compile(r"look-?around|backreference|not supported|word boundary|invalid escape", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unenforced:
    """A part of a schema that an answer is not held to: where it stands, and whether it is a mere remark there."""

    place: str
    keyword: str
    remark: bool = False

    def __str__(self) -> str:
        return f"{self.keyword} at {self.place}"


@dataclass(frozen=True, slots=True)
class Enforceable:
    """What an answer can be held to, and what is left out of it."""

    schema: Any
    left_out: tuple[Unenforced, ...] = ()


def enforceable(schema: Any, root: str = "$") -> Enforceable:
    """What of a schema an answer can be held to. Objects with ``properties`` that say no more than that are closed.

    Places are told from ``root``, the name of the whole.
    Raises ``GrammarError`` where a reference points to nothing or a pattern is no regular expression.
    """
    walk = Walk(schema)
    try:
        found = walk.part(schema, root)
    except RecursionError as error:
        raise GrammarError(f"The JSON schema ({root}) is nested too deeply.", "Make it simpler.") from error
    return Enforceable(found, tuple(dict.fromkeys(walk.left_out)))


class Walk:
    """One pass over a schema. ``left_out`` grows."""

    def __init__(self, root: Any) -> None:
        self.references = References(root)
        self.left_out: list[Unenforced] = []
        self.copies = MOST_COPIES
        self.known: Known = {}

    def part(self, node: Any, place: str, others: frozenset[str] = frozenset()) -> Any:
        """A schema and all below it, closed, without what cannot be enforced.

        ``others`` are properties that belong to the same object by the other parts of a combination.
        """
        if not isinstance(node, Mapping):
            return node
        kept = self.without(dict(node), place)
        for keyword in NAMED:
            if isinstance(inner := kept.get(keyword), Mapping):
                kept[keyword] = {name: self.part(one, f"{place}.{keyword}.{name}") for name, one in inner.items()}
        for keyword in LISTS:
            if isinstance(listed := kept.get(keyword), list):
                kept[keyword] = [self.part(one, f"{place}.{keyword}[{at}]") for at, one in enumerate(listed)]
        for keyword in ONE:
            if isinstance(kept.get(keyword), Mapping):
                kept[keyword] = self.part(kept[keyword], f"{place}.{keyword}")
        properties = kept.get("properties")
        own = others.union(properties if isinstance(properties, Mapping) else ())
        by = {keyword: combined(kept, keyword, self.references.resolve, self.known) for keyword in COMBINATIONS}
        for keyword in COMBINATIONS:
            if isinstance(options := kept.get(keyword), list):
                # All parts of allOf hold at once, of the others one does.
                beside = own.union(*(found for name, found in by.items() if name != keyword or name == "allOf"))
                kept[keyword] = [self.option(one, f"{place}.{keyword}[{at}]", beside) for at, one in enumerate(options)]
        return closed(kept, own.union(*by.values()))

    def option(self, option: Any, place: str, others: frozenset[str]) -> Any:
        """A part of a combination; what a reference leads to is copied where it must be closed for this place alone."""
        if isinstance(option, Mapping) and "$ref" in option:
            found = target(option, self.references.resolve)
            if found is None or not others - names(option, self.references.resolve, self.known) or self.copies <= 0:
                return self.part(option, place)
            self.copies -= 1
            option = found | {keyword: value for keyword, value in option.items() if keyword != "$ref"}
        return self.part(option, place, others)

    def without(self, node: dict[str, Any], place: str) -> dict[str, Any]:
        """A schema without its own keywords that cannot be enforced."""
        if node.get("unevaluatedProperties") is False:  # what closing says as well
            del node["unevaluatedProperties"]
            node.setdefault("properties", {})
            if "patternProperties" in node:
                node.setdefault("additionalProperties", False)
        elif "unevaluatedProperties" in node:
            self.leave_out(node, "unevaluatedProperties", place)
        for keyword in UNENFORCED:
            if keyword in node and (node[keyword] or keyword != "uniqueItems"):
                self.leave_out(node, keyword, place)
            node.pop(keyword, None)
        if isinstance(dialect := node.get("$schema"), str) and "json-schema.org" not in dialect:
            del node["$schema"]
        for keyword in COUNTS:
            if isinstance(count := node.get(keyword), float) and count.is_integer():
                node[keyword] = int(count)
        if isinstance(reference := node.get("$ref"), str) and not self.references.here(reference, place):
            self.leave_out(node, "$ref", place)
        elif isinstance(reference, str) and self.references.in_ring(reference):
            # llguidance takes no ring of references with anything beside one of them
            for keyword in node.keys() - STRUCTURE:
                if keyword in NARROWING:
                    self.leave_out(node, keyword, place)
                else:
                    del node[keyword]
        if isinstance(form := node.get("format"), str) and form not in FORMATS:
            self.leave_out(node, "format", place, remark=True)
        if isinstance(pattern := node.get("pattern"), str):
            self.pattern(node, pattern, place)
        if isinstance(patterns := node.get("patternProperties"), Mapping):
            plain = {"type": "object", "patternProperties": dict.fromkeys(patterns, True)}
            if any(map(refusal, patterns)) or not holdable(plain):
                self.leave_out(node, "patternProperties", place)
        if isinstance(options := node.get("oneOf"), list) and not disjoint(options, self.references.resolve):
            self.left_out.append(Unenforced(place, "oneOf"))
        self.counts(node, place)
        self.bounds(node, place)
        return node

    def leave_out(self, node: dict[str, Any], keyword: str, place: str, *, remark: bool = False) -> None:
        """Take a keyword out, and note it."""
        node.pop(keyword)
        self.left_out.append(Unenforced(place, keyword, remark))

    def pattern(self, node: dict[str, Any], pattern: str, place: str) -> None:
        """Keep a pattern, or a wider one without what looks around, or none."""
        reason = refusal(pattern)
        if reason is None:
            return
        if not ASSERTIVE.search(reason) and not valid(pattern):
            raise GrammarError(
                f"{place}.pattern is no regular expression: {' '.join(pattern.split())}",
                "Correct it, or leave it out.",
            )
        self.leave_out(node, "pattern", place)
        wider = without_assertions(pattern)
        if wider is not None and refusal(wider) is None:
            node["pattern"] = wider

    def counts(self, node: dict[str, Any], place: str) -> None:
        """Keep numbers of properties only where llguidance counts them: where all that are named are required."""
        names = node.get("properties")
        required = node.get("required") or []
        if not isinstance(names, Mapping) or set(names) <= set(required):
            return
        least, most = node.get("minProperties"), node.get("maxProperties")
        if least is not None:
            if isinstance(least, int) and least <= len(set(required)):
                del node["minProperties"]
            else:
                self.leave_out(node, "minProperties", place)
        if most is not None:
            closed = node.get("additionalProperties", False) is False and "patternProperties" not in node
            if closed and isinstance(most, int) and most >= len(names):
                del node["maxProperties"]
            else:
                self.leave_out(node, "maxProperties", place)

    def bounds(self, node: dict[str, Any], place: str) -> None:
        """Leave out bounds of numbers that llguidance cannot count to, and steps of too many digits."""
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            limit = node.get(keyword)
            if isinstance(limit, (int, float)) and abs(limit) >= FARTHEST:
                if (limit > 0) == keyword.lower().endswith("maximum"):
                    del node[keyword]  # no number of 16 digits goes so far
                else:
                    self.leave_out(node, keyword, place)
        step = node.get("multipleOf")
        if isinstance(step, (int, float)) and not holdable({"type": "number", "multipleOf": step}):
            self.leave_out(node, "multipleOf", place)


def holdable(schema: Mapping[str, Any]) -> bool:
    """Whether llguidance can hold an answer to a schema."""
    import llguidance

    text = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema))
    return not llguidance.LLMatcher.validate_grammar(text)


def valid(pattern: str) -> bool:
    """Whether Python takes a text for a regular expression, its named groups written as ECMA-262 has them."""
    try:
        re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern))
    except (re.error, OverflowError, RecursionError):
        return False
    return True
