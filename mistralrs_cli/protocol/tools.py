"""OpenAI's ``tools`` and ``tool_choice`` to ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from ..options import Tools
from . import history
from .fields import instance, only, shown, wrong
from .ignored_fields import ignore_field

INPUT = "input"  # the one argument of a tool that takes free text
HINTS = ("strict", "cache_control", "defer_loading", "allowed_callers", "output_schema", "input_examples", "async")
"""Hints to other services about a tool: calls are constrained to its schema anyway, and the rest has no effect here."""


def tools(
    definitions: Sequence[Any] | None, choice: str | Mapping[str, Any] | None = None, parallel: bool | None = None
) -> Tools | None:
    """The functions of a request, or ``None`` where it has none.

    A tool that takes free text (``custom``) is a function with one text. Tools that a server would run are ignored.
    Raises ``OptionError`` with ``param`` for functions that make no sense, and for a choice that is not among them.
    """
    offered = [definition(value, f"tools[{index}]") for index, value in enumerate(definitions or ())]
    found = tuple({repr(one): one for one in offered if one is not None}.values())
    if not found:
        if choice not in (None, "none", "auto"):
            raise wrong("tool_choice", "needs tools.")
        return None
    names = [function["function"]["name"] for function in found]
    whole = frozenset(name for name in map(strict_name, definitions or ()) if name is not None)
    if len(set(names)) < len(names):
        raise wrong("tools", "has two functions of the same name.")
    at_once = parallel is not False
    match choice:
        case None | "auto":
            return Tools(found, "auto", parallel=at_once, strict=whole)
        case "none":
            return Tools(found, "none", parallel=at_once)
        case "required" | "any":
            return Tools(found, "required", parallel=at_once, strict=whole)
        case {"type": "allowed_tools"}:
            return allowed(choice, Tools(found, parallel=at_once, strict=whole))
    if (name := named(choice)) is None:
        raise wrong("tool_choice", f"is {shown(choice)}.", "Use auto, none, required or one function.")
    if name not in names:
        raise wrong("tool_choice", f"names {shown(name)}, which is not among the tools.")
    return Tools(found, "required", name, parallel=False, strict=whole)


def strict_name(value: object) -> str | None:
    """The name of a function whose schema must be enforced whole."""
    function = value.get("function", value) if isinstance(value, Mapping) else None
    if isinstance(function, Mapping) and function.get("strict") is True:
        return str(function.get("name"))
    return None


def named(choice: object) -> str | None:
    """The function that a choice, or a member of a list of them, names."""
    match choice:
        case {"type": "function" | "custom", "name": str(name)}:
            return name
        case {"type": "function", "function": {"name": str(name)}} | {"type": "custom", "custom": {"name": str(name)}}:
            return name
    return None


def allowed(choice: object, offered: Tools) -> Tools:
    """Those of the tools that may be called this time."""
    outer = instance(choice, dict, "tool_choice")
    inner = instance(outer.get("allowed_tools", outer), dict, "tool_choice.allowed_tools")
    mode: Literal["auto", "required"] = "required" if inner.get("mode") == "required" else "auto"
    names = {named(one) for one in instance(inner.get("tools"), list, "tool_choice.tools")}
    kept = tuple(one for one in offered.definitions if one["function"]["name"] in names)
    if not kept:
        raise wrong("tool_choice", "allows none of the tools.")
    return replace(offered, definitions=kept, choice=mode)


def definition(value: object, place: str) -> dict[str, Any] | None:
    """One function with its JSON schema, as chat templates expect it; ``None`` for what is no function."""
    tool = instance(value, dict, place)
    kind = tool.get("type") or "function"
    if kind == "custom":
        return freeform(instance(tool.get("custom", tool), dict, f"{place}.custom"), place)
    if kind != "function":
        ignore_field(f"{place}.type", f"is {shown(kind)}; only function is known.", note=f"{place}:{kind}")
        return None
    only(tool, ("type", "function", *HINTS), place)
    function = instance(tool.get("function"), dict, f"{place}.function")
    only(function, ("name", "description", "parameters", "return", *HINTS), f"{place}.function")
    parameters = instance(
        function.get("parameters") or {"type": "object", "properties": {}}, dict, f"{place}.function.parameters"
    )
    instance(parameters.get("properties", {}), dict, f"{place}.function.parameters.properties")
    return as_function(function, parameters, f"{place}.function")


def freeform(tool: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A tool that takes free text, as a function with one text; the format it asks for is described in words."""
    only(tool, ("type", "name", "description", "format", *HINTS), place)
    schema: dict[str, Any] = {"type": "string"}
    match tool.get("format"):
        case {"type": "grammar", "definition": str(rules)} | {"type": "grammar", "grammar": {"definition": str(rules)}}:
            schema["description"] = f"Text of this form:\n{rules}"
    parameters = {
        "type": "object",
        "properties": {INPUT: schema},
        "required": [INPUT],
        "additionalProperties": False,
    }
    return as_function(tool, parameters, place)


def as_function(function: Mapping[str, Any], parameters: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A function by its name, description and parameters."""
    name = instance(function.get("name"), str, f"{place}.name")
    if not name.strip() or not all(letter.isalnum() or letter in "_-." for letter in name):
        raise wrong(f"{place}.name", f"is {shown(name)}.", "Use letters, digits, _ and -.")
    description = instance(function.get("description") or "", str, f"{place}.description")
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def custom_names(definitions: Sequence[Any] | None) -> frozenset[str]:
    """The names of the tools that take free text, whose calls are answered as such."""
    found = [tool.get("custom", tool) for tool in definitions or () if is_custom(tool)]
    return frozenset(tool["name"] for tool in found if isinstance(tool, dict) and isinstance(tool.get("name"), str))


def is_custom(tool: object) -> bool:
    """Whether a tool takes free text."""
    return isinstance(tool, dict) and tool.get("type") == "custom"


def free_text(arguments: str) -> str:
    """What a tool that takes free text is called with."""
    found = json.loads(history.arguments(arguments)).get(INPUT)
    return found if isinstance(found, str) else arguments
