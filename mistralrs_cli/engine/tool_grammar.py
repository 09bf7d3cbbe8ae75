"""A call that must be made, as a grammar: the model can answer nothing else. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import GrammarError, first_line
from ..options import Grammar, Tools
from .gemma_arguments import Arguments, common_rules
from .tool_syntax import GEMMA, HERMES, LLAMA, MISTRAL, PHI, QUOTE, ToolSyntax


def forced(syntax: ToolSyntax, tools: Tools, special: Mapping[str, int], template: str) -> Grammar:
    """The grammar of a call of any of the functions, or of the one that is named.

    ``special`` holds the ids of markers that are special tokens: a grammar names those by number.
    """
    functions = [
        definition["function"]
        for definition in tools.definitions
        if tools.name is None or definition["function"]["name"] == tools.name
    ]

    def marker(text: str | None) -> str:
        if text is None:
            return ""
        return f"<[{special[text]}]>" if text in special else json.dumps(text, ensure_ascii=False)

    opening, closing = marker(syntax.opening), marker(syntax.closing)
    if syntax is MISTRAL and "[ARGS]" in template:
        calls = " | ".join(
            f"{json.dumps(function['name'])} {marker('[ARGS]')} arguments_{index}"
            for index, function in enumerate(functions)
        )
        rules = [f"arguments_{index}: {embedded(function['parameters'])}" for index, function in enumerate(functions)]
        return lark(f"start: {opening} ({calls})", *rules)
    if syntax is GEMMA:
        quote = marker(QUOTE)
        written = [arguments(function, quote, f"arguments_{index}") for index, function in enumerate(functions)]
        calls = " | ".join(
            f"{json.dumps('call:' + function['name'])} {one.start}"
            for function, one in zip(functions, written, strict=True)
        )
        rules = [rule for one in written for rule in one.rules]
        return lark(f"start: {opening} ({calls}) {closing}", *rules, *common_rules(quote))
    keyword = "parameters" if syntax is LLAMA else "arguments"
    call = {
        "anyOf": [
            {
                "type": "object",
                "properties": {"name": {"const": function["name"]}, keyword: function["parameters"]},
                "required": ["name", keyword],
                "additionalProperties": False,
            }
            for function in functions
        ]
    }
    if syntax in (PHI, MISTRAL):
        listed = {"type": "array", "items": call, "minItems": 1, "maxItems": 1}
        return lark(f"start: {opening} call {closing}", f"call: {embedded(listed)}")
    if syntax is HERMES:
        return lark(f"start: {opening} call {closing}", f"call: {embedded(call)}")
    return lark("start: call", f"call: {embedded(call)}")


def arguments(function: Mapping[str, Any], quote: str, name: str) -> Arguments:
    """The arguments of a function in Gemma 4's form. Raises ``GrammarError`` where its schema is none."""
    try:
        return Arguments(function["parameters"], quote, name)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise GrammarError(
            f"The parameters of {function['name']} are not a JSON schema: {first_line(error)}",
            "Mend them and try again.",
        ) from error


def embedded(schema: Mapping[str, Any]) -> str:
    """A JSON schema inside a Lark grammar, spaced as models were trained to write it."""
    spacing = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return "%json " + json.dumps({**schema, "x-guidance": spacing}, ensure_ascii=False)


def lark(*rules: str) -> Grammar:
    """Rules as a grammar."""
    return Grammar("lark", "\n".join(rules) + "\n")
