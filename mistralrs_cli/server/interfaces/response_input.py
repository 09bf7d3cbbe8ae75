"""The conversation in a body of ``/v1/responses``: its items, one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from ...messages import MediaOptions, Message, Text
from ...protocol.fields import instance, only, shown, wrong
from ...protocol.ignored_fields import ignore_field
from ...protocol.messages import message, parts, tool_call
from .response_tools import ResponseTool, model_name
from .schemas import ResponsesRequest

ITEM_FIELDS = ("type", "id", "status", "phase")
CALL_FIELDS = (*ITEM_FIELDS, "call_id", "name", "namespace", "caller", "async")


def conversation(body: ResponsesRequest, media: MediaOptions, tools: Mapping[str, ResponseTool]) -> tuple[Message, ...]:
    """The items of ``input``, with ``instructions`` before them."""
    first = () if body.instructions is None else (Message("system", (Text(body.instructions),)),)
    if isinstance(body.input, str):
        return (*first, Message("user", (Text(body.input),)))
    items = instance(body.input, list, "input")
    if not items and not first:
        raise wrong("input", "is empty.", "Send at least one message.")
    messages: list[Message] = []
    for index, value in enumerate(items):
        new = item(value, f"input[{index}]", media, tools)
        if new is None:
            continue
        if new.role == "assistant" and messages and messages[-1].role == "assistant":
            last = messages.pop()
            new = replace(
                new,
                parts=last.parts + new.parts,
                tool_calls=last.tool_calls + new.tool_calls,
                reasoning=last.reasoning + new.reasoning,
            )
        messages.append(new)
    return (*first, *messages)


def item(value: object, place: str, media: MediaOptions, tools: Mapping[str, ResponseTool]) -> Message | None:
    """One item: a message, a call, its result, or reasoning. ``None`` for what a server made for itself."""
    found = instance(value, dict, place)
    kind = found.get("type", "message")
    match kind:
        case "message":
            return message({key: found[key] for key in found if key not in ITEM_FIELDS}, place, media)
        case "function_call":
            only(found, (*CALL_FIELDS, "arguments"), place)
            name = instance(found.get("name"), str, f"{place}.name")
            function = {"name": model_name(name, found.get("namespace"), tools), "arguments": found.get("arguments")}
            return Message("assistant", (), (tool_call({"id": found.get("call_id"), "function": function}, place),))
        case "custom_tool_call":
            only(found, (*CALL_FIELDS, "input"), place)
            custom = {"name": found.get("name"), "input": found.get("input")}
            call = {"id": found.get("call_id"), "type": "custom", "custom": custom}
            return Message("assistant", (), (tool_call(call, place),))
        case "reasoning":
            only(found, (*ITEM_FIELDS, "summary", "content", "encrypted_content"), place)
            lists = [instance(found.get(name) or [], list, f"{place}.{name}") for name in ("content", "summary")]
            texts = [instance(part, dict, place).get("text") for one in lists for part in one]
            return Message("assistant", (), reasoning="".join(text for text in texts if isinstance(text, str)))
        case str() if kind.endswith("_output") and isinstance(found.get("call_id"), str):
            only(found, (*CALL_FIELDS, "output", "max_output_length"), place)
            value = found.get("output") or ""
            output = parts(value if isinstance(value, (str, list)) else json.dumps(value), f"{place}.output", media)
            return Message("tool", output, tool_call_id=found["call_id"])
        case str() if kind.endswith("_call") and isinstance(found.get("call_id"), str):
            inner = {key: found[key] for key in found if key not in CALL_FIELDS}
            function = {"name": kind.removesuffix("_call"), "arguments": inner}
            return Message("assistant", (), (tool_call({"id": found["call_id"], "function": function}, place),))
        case str() if kind.endswith(("_call", "_output", "_list_tools")) or kind in (
            "compaction",
            "compaction_summary",
        ):
            ignore_field(
                f"{place}.type", f"is {shown(kind)}; only a server that made it can read it.", note=f"input:{kind}"
            )
            return None
    raise wrong(
        f"{place}.type",
        f"is {shown(kind)}.",
        "Items are message, function_call, function_call_output, custom_tool_call and reasoning.",
    )
