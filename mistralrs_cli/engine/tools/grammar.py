"""Grammars of tool calls: of one that must be made, or of a call or else an answer in a form. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...constraint import inline_schema, usable
from ...constraint.patterns import ascii_classes
from ...errors import GrammarError, OptionError
from ...options import Grammar, Tools
from .gemma import Arguments, common_rules
from .syntax import GEMMA, HERMES, LLAMA, MISTRAL, PHI, QUOTE, ToolSyntax


def forced_call_grammar(syntax: ToolSyntax, tools: Tools, special: Mapping[str, int], template: str) -> Grammar:
    """The grammar of a call of any of the functions, or of the one that is named.

    ``special`` holds the ids of markers that are special tokens: a grammar names those by number. Raises
    ``GrammarError`` where a function's parameters are no JSON schema.
    """
    call = Call(syntax, tools, special, template)
    return lark(syntax, f"start: {call.start}", *call.rules)


def call_or_form_grammar(
    syntax: ToolSyntax, tools: Tools, special: Mapping[str, int], template: str, form: Grammar
) -> Grammar:
    """The grammar of a call, or else of an answer in a form.

    Raises ``OptionError`` for a form that is a grammar itself: two grammars do not fit into one.
    """
    match form.kind:
        case "json_schema":
            body = inline_schema(json.loads(form.value), strict=form.strict)
        case "regex":
            body = f"/{ascii_classes(form.value)}/"
        case _:
            raise OptionError(
                f"tools and an answer in a {form.kind} grammar exclude each other.",
                'Send one of them, or tool_choice "none"; a JSON schema or a regex goes with tools.',
                param="tools",
            )
    call = Call(syntax, tools, special, template)
    # An object that may be either a bare call or the answer would be split into words in one of two ways only.
    start = f"{call.marker(syntax.opening)} ({call.start})" if syntax.bare else call.start
    return lark(syntax, f"start: ({start}) | form", *call.rules, f"form: {body}")


class Call:
    """One call as rules; ``start`` is the expression that they belong to."""

    def __init__(self, syntax: ToolSyntax, tools: Tools, special: Mapping[str, int], template: str) -> None:
        self.special = special
        self.strict = tools.strict
        self.rules: list[str] = []
        places = {
            definition["function"]["name"]: f"tools[{index}].function.parameters"
            for index, definition in enumerate(tools.definitions)
        }
        functions = [
            definition["function"]
            for definition in tools.definitions
            if tools.name is None or definition["function"]["name"] == tools.name
        ]
        opening, closing = self.marker(syntax.opening), self.marker(syntax.closing)
        write = self.gemma if syntax is GEMMA else self.named if self.has_names(syntax, template) else self.object_
        key = "parameters" if syntax is LLAMA else "arguments"
        calls = " | ".join(write(function, places[function["name"]], key) for function in functions)
        if syntax is LLAMA:
            self.start = calls
        elif syntax is PHI or (syntax is MISTRAL and write == self.object_):
            self.start = f'{opening} "[" ({calls}) "]" {closing}'
        else:
            line = '"\\n"?' if syntax is HERMES else ""  # models are trained on a line of its own, others on none
            self.start = f"{opening} {line} ({calls}) {line} {closing}"
        if syntax is GEMMA:
            self.rules += common_rules(self.marker(QUOTE))

    @staticmethod
    def has_names(syntax: ToolSyntax, template: str) -> bool:
        """Whether calls are written with the name before the object."""
        return syntax is MISTRAL and "[ARGS]" in template

    def marker(self, text: str | None) -> str:
        """A marker as a grammar names it."""
        if text is None:
            return ""
        return f"<[{self.special[text]}]>" if text in self.special else json.dumps(text, ensure_ascii=False)

    def object_(self, function: Mapping[str, Any], place: str, key: str) -> str:
        """``{"name": …, "arguments": {…}}``."""
        before = f'{{"name": {json.dumps(function["name"])}, "{key}": '
        return f'{json.dumps(before, ensure_ascii=False)} {self.arguments(function, place)} "}}"'

    def named(self, function: Mapping[str, Any], place: str, _key: str) -> str:
        """``NAME[ARGS]{…}``."""
        return f"{json.dumps(function['name'])} {self.marker('[ARGS]')} {self.arguments(function, place)}"

    def arguments(self, function: Mapping[str, Any], place: str) -> str:
        """The rule of a function's arguments."""
        name = f"arguments_{len(self.rules)}"
        schema = {"type": "object", **function["parameters"]}
        self.rules.append(f"{name}: {inline_schema(schema, strict=function['name'] in self.strict, name=place)}")
        return name

    def gemma(self, function: Mapping[str, Any], place: str, _key: str) -> str:
        """``call:NAME{…}``; where the schema cannot be enforced in this syntax, only the names are."""
        strict = function["name"] in self.strict
        schema = usable({"type": "object", **function["parameters"]}, strict=strict, name=place)
        name, quote = f"arguments_{len(self.rules)}", self.marker(QUOTE)
        try:
            found = Arguments(schema, quote, name)
        except GrammarError:
            if strict:
                raise
            found = Arguments(by_name(schema), quote, name)
        self.rules += found.rules
        return f"{json.dumps('call:' + function['name'])} {found.start}"


def by_name(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object that asks for the same properties, whatever their values."""
    names = schema.get("properties")
    return {
        "type": "object",
        "properties": dict.fromkeys(names if isinstance(names, Mapping) else (), True),
        "required": schema.get("required") or [],
        "additionalProperties": schema.get("additionalProperties") is not False,
    }


def lark(syntax: ToolSyntax, *rules: str) -> Grammar:
    """Rules as a grammar; only Gemma 4's way of writing is not JSON."""
    return Grammar("lark", "\n".join(rules) + "\n", json=syntax is not GEMMA)
