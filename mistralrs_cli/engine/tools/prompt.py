"""Tools as part of the system prompt, for chat templates without a ``tools`` input. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from ...messages import Message, Text, ToolCall
from ...options import Tools
from .syntax import HERMES

INSTRUCTION = (
    "You can call these functions:\n{functions}\n"
    'To call one, answer with <tool_call>{{"name": "…", "arguments": {{…}}}}</tool_call>.'
)


def as_system_prompt(messages: Sequence[Message], tools: Tools | None) -> list[Message]:
    """The conversation with the functions in its system message, and earlier calls and results as text."""
    turns = [as_text(message) for message in messages]
    if tools is None:
        return turns
    functions = "\n".join(json.dumps(definition["function"], ensure_ascii=False) for definition in tools.definitions)
    instruction = INSTRUCTION.format(functions=functions)
    if turns and turns[0].role == "system":
        return [replace(turns[0], parts=(*turns[0].parts, Text("\n\n" + instruction))), *turns[1:]]
    return [Message("system", (Text(instruction),)), *turns]


def as_text(message: Message) -> Message:
    """A message with its tool calls, or the result of one, as text."""
    if message.role == "tool":
        return Message("user", (Text("<tool_response>"), *message.parts, Text("</tool_response>")))
    if message.tool_calls:
        calls = "\n".join(map(call_text, message.tool_calls))
        return replace(message, parts=(*message.parts, Text(calls)), tool_calls=())
    return message


def call_text(call: ToolCall) -> str:
    """A call as the instruction asks for it."""
    body = json.dumps({"name": call.name, "arguments": json.loads(call.arguments)}, ensure_ascii=False)
    return f"{HERMES.opening}{body}{HERMES.closing}"
