"""The tools of ``/v1/responses``: functions flat or in namespaces, and tools that take free text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...messages import ToolCall
from ...protocol.fields import instance
from ...protocol.tools import free_text, is_custom


@dataclass(frozen=True)
class ResponseTool:
    """One tool as a chat completion has it, and what its calls are answered with beside its name."""

    definition: dict[str, Any]
    name: str
    namespace: str | None = None

    @property
    def takes_text(self) -> bool:
        """Whether it takes free text, not arguments."""
        return is_custom(self.definition)


def response_tools(tools: Sequence[Mapping[str, Any]] | None, place: str = "tools") -> dict[str, ResponseTool]:
    """The tools by the names the model knows them by.

    Those of a namespace keep their own where no other tool has it; else the namespace stands before it.
    """
    found: dict[str, ResponseTool] = {}
    for number, (tool, namespace) in enumerate(flattened(tools or (), place)):
        name = str(nested(tool).get("name") or f"#{number}")
        known = name
        if namespace is not None and name in found:
            known = f"{namespace}__{name}"
        found[known if known not in found else f"{known}#{number}"] = ResponseTool(
            as_chat(tool, known), name, namespace
        )
    return found


def flattened(
    tools: Sequence[Mapping[str, Any]], place: str, namespace: str | None = None
) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """The tools one by one, those of namespaces with their namespace."""
    for index, tool in enumerate(tools):
        if tool.get("type") == "namespace":
            where = f"{place}[{index}].tools"
            inner = [instance(one, dict, where) for one in instance(tool.get("tools") or [], list, where)]
            yield from flattened(inner, where, str(tool.get("name") or ""))
        else:
            yield tool, namespace


def nested(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tool's own fields."""
    inner = tool.get(str(tool.get("type")))
    return inner if isinstance(inner, Mapping) else tool


def as_chat(tool: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A tool as chat completions have it, under the name the model gets."""
    kind = tool.get("type", "function")
    if kind not in ("function", "custom"):
        return dict(tool)
    inner = {key: value for key, value in nested(tool).items() if key != "type"}
    if name.startswith("#"):
        return {"type": kind, kind: inner}
    return {"type": kind, kind: inner | {"name": name}}


def item_of(call: ToolCall, tools: Mapping[str, ResponseTool], identity: str) -> dict[str, Any]:
    """A call as an item of a response."""
    tool = tools.get(call.name)
    where = {"namespace": tool.namespace} if tool is not None and tool.namespace is not None else {}
    named = {"call_id": call.id, "name": call.name if tool is None else tool.name, "status": "completed", **where}
    if tool is not None and tool.takes_text:
        return {"type": "custom_tool_call", "id": f"ctc_{identity}", "input": free_text(call.arguments), **named}
    return {"type": "function_call", "id": f"fc_{identity}", "arguments": call.arguments, **named}


def model_name(name: str, namespace: object, tools: Mapping[str, ResponseTool]) -> str:
    """What the model knows a tool by that a client calls ``name``, perhaps in a namespace."""
    for known, tool in tools.items():
        if tool.name == name and tool.namespace == (namespace or None):
            return known
    return name
