"""A JSON schema as a grammar of Gemma 4's own way of writing arguments: ``{city:<|"|>Bonn<|"|>,days:[1,2]}``. Pure.

Numbers, truth values and null are written as in JSON, so the grammar engine constrains those to their schema itself.
Keys come in the order in which the model's chat template writes them, those that the schema does not name last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import GrammarError

Schema = Mapping[str, Any]
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # others are written in quotes
NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
KEYWORDS = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"pattern", "minLength", "maxLength"}),
    "integer": NUMBERS,
    "number": NUMBERS,
    "boolean": frozenset(),
    "null": frozenset(),
}
"""Keywords of a schema that are enforced, by type."""
ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "nullable"}
    | {"$schema", "$id", "$defs", "definitions", "$comment", "$anchor", "contentEncoding", "contentMediaType"}
)
"""What does not narrow the values; ``format`` is an annotation unless agreed otherwise."""
TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")


def common_rules(quote: str) -> list[str]:
    """Rules that those of all functions share; ``quote`` is how the grammar names the mark around texts."""
    return [
        "anything: text | scalar | list | mapping",
        'scalar: %json {"type": ["number", "boolean", "null"]}',
        f"text: {quote} (TEXT | ANGLE)* {quote}",
        'list: "[" (anything ("," anything)*)? "]"',
        'mapping: "{" (entry ("," entry)*)? "}"',
        'entry: (KEY | text) ":" anything',
        f"KEY: /{PLAIN_KEY.pattern}/",
        "TEXT: /[^<]+/",
        "ANGLE: /<[^<|]/",  # any but those that could begin a mark
    ]


class Arguments:
    """The arguments of one function. ``rules`` are what ``start`` is made of; their names begin with ``name``."""

    def __init__(self, schema: Schema, quote: str, name: str) -> None:
        self.root = schema
        self.quote = quote
        self.name = name
        self.rules: list[str] = []
        self._named: dict[str, str] = {}
        self.start = self.value({"type": "object", **schema})

    def value(self, schema: Any) -> str:
        """A schema as an expression. Raises ``GrammarError`` for what cannot be constrained."""
        if schema is True:
            return "anything"
        if not isinstance(schema, Mapping):
            raise unsupported(json.dumps(schema))
        schema = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
        match schema:
            case {"$ref": str(pointer), **rest}:
                return self.reference(pointer, mapping(rest))
            case {"allOf": [only], **rest}:
                return self.value({**rest, **mapping(only)})
            case {"anyOf": list(options), **rest} | {"oneOf": list(options), **rest}:
                return group(self.value({**rest, **mapping(option)}) for option in options)
            case {"const": value}:
                return self.literal(value)
            case {"enum": list(values)}:
                return group(map(self.literal, values))
            case {"type": list(types), **rest}:
                return group(self.value({**rest, "type": one}) for one in types)
        wanted = schema.get("type") or implied(schema)
        if wanted is None and not schema:
            return "anything"
        if unknown := schema.keys() - KEYWORDS.get(str(wanted), frozenset()) - {"type"}:
            raise unsupported(min(unknown))
        match wanted:
            case "object":
                return self.rule(self.object(schema))
            case "array":
                return self.rule(self.array(schema))
            case "string":
                return self.string(schema)
            case str() if wanted in KEYWORDS:
                return self.rule("%json " + json.dumps({**schema, "type": wanted}))
            case _:
                raise unsupported(f"type {wanted}")

    def object(self, schema: Schema) -> str:
        """Every property that is required, any of the others, each but the first behind a comma."""
        properties = dict(schema.get("properties") or {})
        required = set(schema.get("required") or ())
        properties |= dict.fromkeys(sorted(required - properties.keys()), True)
        keys = sorted(properties, key=str.lower)
        pairs = [f"{self.key(key)} {self.value(properties[key])}" for key in keys]
        more = schema.get("additionalProperties", True)
        extra = self.rule(f"{self.other_key(keys)} {self.value(more)}") if more is not False else None
        after = [f'"," {pair}' if key in required else f'("," {pair})?' for key, pair in zip(keys, pairs, strict=True)]
        after += [f'("," {extra})*'] if extra else []
        first: list[str] = []
        for index, key in enumerate(keys):
            first.append(" ".join([pairs[index], *after[index + 1 :]]))
            if key in required:
                break
        else:
            first += [f'{extra} ("," {extra})*'] if extra else []
        if not first:
            return '"{}"'
        return f'"{{" {group(first)}{"" if required else "?"} "}}"'

    def key(self, key: str) -> str:
        """A key and the colon behind it."""
        return json.dumps(f"{key}:") if PLAIN_KEY.fullmatch(key) else f'{self.literal(key)} ":"'

    def other_key(self, known: Iterable[str]) -> str:
        """Any key but those with a schema of their own, and the colon behind it."""
        named = "|".join(re.escape(key) for key in known if PLAIN_KEY.fullmatch(key))
        if not named:
            return 'KEY ":"'
        name = self.rule(f"/{PLAIN_KEY.pattern}/ & ~/({named})/", terminal=True)
        return f'{name} ":"'

    def array(self, schema: Schema) -> str:
        """Items between commas."""
        least, most = int(schema.get("minItems", 0)), schema.get("maxItems")
        if most == 0:
            return '"[]"'
        item = self.value(schema.get("items", True))
        times = f"{max(least - 1, 0)},{'' if most is None else int(most) - 1}"
        return f'"[" ({item} ("," {item}){{{times}}}){"" if least else "?"} "]"'

    def string(self, schema: Schema) -> str:
        """A text between its marks."""
        limits = []
        if "pattern" in schema:
            limits.append(f"/{lark_pattern(schema['pattern'])}/")
        if "minLength" in schema or "maxLength" in schema:
            limits.append(f"/(?s:.){{{schema.get('minLength', 0)},{schema.get('maxLength', '')}}}/")
        if not limits:
            return "text"
        terminal = self.rule(" & ".join([*limits, "/[^<]*/"]), terminal=True)
        return f"{self.quote} {terminal} {self.quote}"

    def literal(self, value: Any) -> str:
        """One value as it is."""
        match value:
            case str():
                return " ".join([self.quote, *([json.dumps(value)] if value else []), self.quote])
            case list():
                items = ' "," '.join(map(self.literal, value))
                return f'"[" {items} "]"'
            case dict():
                keys = sorted(value, key=str.lower)
                pairs = ' "," '.join(f"{self.key(key)} {self.literal(value[key])}" for key in keys)
                return f'"{{" {pairs} "}}"'
            case _:
                return json.dumps(json.dumps(value))

    def reference(self, pointer: str, rest: Schema) -> str:
        """The rule of another part of the schema, which may refer to itself, narrowed by ``rest``."""
        known = json.dumps([pointer, rest])
        if known not in self._named:
            self._named[known] = name = f"{self.name}_ref{len(self._named)}"
            body = self.value({**self.target(pointer), **rest})
            if body == name:
                raise unsupported(f"$ref {pointer}")
            self.rules.append(f"{name}: {body}")
        return self._named[known]

    def target(self, pointer: str) -> Schema:
        """The part of the schema that ``#/$defs/name`` points to."""
        found: Any = self.root
        for step in pointer.removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if not pointer.startswith("#") or not isinstance(found, Mapping) or step not in found:
                raise unsupported(f"$ref {pointer}")
            found = found[step]
        return mapping(found)

    def rule(self, body: str, *, terminal: bool = False) -> str:
        """The name of a new rule."""
        name = f"{self.name}_{len(self.rules)}"
        name = name.upper() if terminal else name
        self.rules.append(f"{name}: {body}")
        return name


def mapping(schema: Any) -> Schema:
    """A part of a schema as one; ``true`` narrows nothing."""
    if schema is True:
        return {}
    if not isinstance(schema, Mapping):
        raise unsupported(json.dumps(schema))
    return schema


def implied(schema: Schema) -> str | None:
    """The type that a schema's other words are about."""
    return next((kind for kind in ("object", "array", "string", "number") if schema.keys() & KEYWORDS[kind]), None)


def group(options: Iterable[str]) -> str:
    """One of several expressions."""
    return f"({' | '.join(options)})"


def lark_pattern(pattern: str) -> str:
    """A regular expression of a JSON schema as a grammar has it: found anywhere, unless it says otherwise."""
    import llguidance

    start, end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    inner = pattern[1 if start else 0 : -1 if end else None]
    if (start or end) and has_alternatives(inner):
        raise unsupported(f"pattern {pattern}")
    converted = llguidance.regex_to_lark(inner, "dw")
    return f"{'' if start else '(?s:.)*'}({converted}){'' if end else '(?s:.)*'}"


def has_alternatives(pattern: str) -> bool:
    """Whether a regular expression is several, of which an anchor would concern only one."""
    flat = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "", pattern)
    while (shorter := re.sub(r"\([^()]*\)", "", flat)) != flat:
        flat = shorter
    return "|" in flat


def unsupported(word: str) -> GrammarError:
    """The error for what this syntax cannot be constrained to."""
    return GrammarError(
        f"A call in Gemma 4's form cannot be constrained to this part of the parameters' schema: {word}",
        'Leave it out, or let the model choose: tool_choice "auto".',
    )
