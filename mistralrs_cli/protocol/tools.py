"""OpenAI's ``tools`` and ``tool_choice`` to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..options import Tools
from .fields import instance, only, shown, wrong


def tools(
    definitions: Sequence[Any] | None, choice: str | Mapping[str, Any] | None = None, parallel: bool | None = None
) -> Tools | None:
    """The functions a request offers, or ``None`` where it offers none.

    Raises ``OptionError`` with ``param`` for tools that are not functions, and for a choice that is not among them.
    """
    found = tuple(definition(value, f"tools[{index}]") for index, value in enumerate(definitions or ()))
    if not found:
        if choice not in (None, "none", "auto"):
            raise wrong("tool_choice", "needs tools.")
        return None
    names = [function["function"]["name"] for function in found]
    if len(set(names)) < len(names):
        raise wrong("tools", "has two functions of the same name.")
    at_once = parallel is not False
    match choice:
        case None | "auto":
            return Tools(found, "auto", parallel=at_once)
        case "none":
            return Tools(found, "none", parallel=at_once)
        case "required" | "any":
            return Tools(found, "required", parallel=at_once)
        case {"type": "function", "function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
            if name not in names:
                raise wrong("tool_choice", f"names {shown(name)}, which is not among the tools.")
            return Tools(found, "required", name, parallel=False)
    raise wrong("tool_choice", f"is {shown(choice)}.", "Use auto, none, required or one function.")


def definition(value: object, place: str) -> dict[str, Any]:
    """One function with its JSON schema, as chat templates expect it."""
    tool = instance(value, dict, place)
    if tool.get("type", "function") != "function":
        raise wrong(f"{place}.type", f"is {shown(tool['type'])}; only function is known.")
    only(tool, ("type", "function"), place)
    function = instance(tool.get("function"), dict, f"{place}.function")
    only(function, ("name", "description", "parameters", "strict"), f"{place}.function")
    name = instance(function.get("name"), str, f"{place}.function.name")
    if not name.strip() or not all(letter.isalnum() or letter in "_-." for letter in name):
        raise wrong(f"{place}.function.name", f"is {shown(name)}.", "Use letters, digits, _ and -.")
    parameters = instance(
        function.get("parameters") or {"type": "object", "properties": {}}, dict, f"{place}.function.parameters"
    )
    instance(parameters.get("properties", {}), dict, f"{place}.function.parameters.properties")
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": instance(function.get("description") or "", str, f"{place}.function.description"),
            "parameters": parameters,
        },
    }
