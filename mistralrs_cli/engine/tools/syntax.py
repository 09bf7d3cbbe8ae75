"""How models write the calls of functions, told from their chat template. Pure.

=========  =======================================================================
Hermes     ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``: Qwen and many others
Qwen 3.5   ``<tool_call><function=NAME><parameter=KEY>value</parameter></function></tool_call>``
Mistral    ``[TOOL_CALLS]NAME[CALL_ID]id[ARGS]{…}``, before that ``[TOOL_CALLS][{"name": …, "arguments": {…}}]``
Gemma 4    ``<|tool_call>call:NAME{key:<|"|>text<|"|>,other:7}<tool_call|>``
Phi 4      ``<|tool_call|>[{"name": …, "arguments": {…}}]<|/tool_call|>``
Llama      ``<|python_tag|>{"name": …, "parameters": {…}}``, or the bare object as the whole answer
=========  =======================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...options import Tools

Call = tuple[str, dict[str, Any], str | None]
"""A function's name, its arguments, and the call's id where the model gave one."""


@dataclass(frozen=True, slots=True)
class ToolSyntax:
    """One way of writing calls.

    ``read`` takes what stands between ``opening`` and ``closing`` (or the end of the answer) and raises ``ValueError``
    where that is no call. ``bare``: an answer that begins with ``{`` is a call, too. ``inside`` are other tokens that
    belong to the writing, ``ends`` tokens after which the model would go on for the function.
    """

    name: str
    opening: str
    closing: str | None
    read: Callable[[str, Tools], list[Call]]
    bare: bool = False
    inside: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def markers(self) -> tuple[str, ...]:
        """Everything that must not be dropped from the text, even where it is a special token."""
        return tuple(marker for marker in (self.opening, self.closing, *self.inside) if marker)


def read_objects(body: str, tools: Tools) -> list[Call]:
    """JSON objects with name and arguments: one, a list, or several with ``;`` or white space between them."""
    decoder, calls, at = json.JSONDecoder(), list[Call](), 0
    while rest := body[at:].lstrip(" \n\r\t;,"):
        at = len(body) - len(rest)
        value, length = decoder.raw_decode(rest)
        at += length
        calls += [from_object(item) for item in (value if isinstance(value, list) else [value])]
    if not calls:
        raise ValueError("no call")
    return calls


def from_object(value: object) -> Call:
    """``{"name": …, "arguments": {…}}``, or ``parameters`` in place of ``arguments``."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError("a call without a name")
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = json.loads(arguments or "{}")
    if not isinstance(arguments, dict):
        raise ValueError("arguments that are no object")
    given = value.get("id")
    return value["name"], arguments, given if isinstance(given, str) else None


FUNCTION = re.compile(r"<function=([^>\n]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
PARAMETER = re.compile(r"<parameter=([^>\n]+)>(.*?)</parameter>", re.DOTALL)


def read_tagged(body: str, tools: Tools) -> list[Call]:
    """A call in tags, or else in JSON."""
    found = FUNCTION.search(body)
    if found is None:
        return read_objects(body, tools)
    name = found[1].strip()
    kinds = types_of(name, tools)
    pairs = PARAMETER.findall(found[2])
    return [(name, {key.strip(): typed(value.strip("\n"), kinds.get(key.strip())) for key, value in pairs}, None)]


def types_of(name: str, tools: Tools) -> dict[str, Any]:
    """The JSON types of a function's parameters."""
    for definition in tools.definitions:
        function: Mapping[str, Any] = definition["function"]
        if function["name"] == name:
            properties = function["parameters"].get("properties") or {}
            return {key: schema.get("type") for key, schema in properties.items() if isinstance(schema, dict)}
    return {}


def typed(text: str, kind: object) -> Any:
    """A value written without quotes, as the type its schema names."""
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


NAMED = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*(\w+)\s*)?(?:\[ARGS\])?\s*(\{.*)", re.DOTALL)


def read_named(body: str, tools: Tools) -> list[Call]:
    """Mistral's ``NAME[ARGS]{…}``, or the list of older tokenizers."""
    found = NAMED.fullmatch(body)
    if found is None:
        return read_objects(body, tools)
    arguments, _ = json.JSONDecoder().raw_decode(found[3])
    return [(found[1], arguments, found[2])]


GEMMA_CALL = re.compile(r"\s*call:([\w.-]+)\s*(\{.*\})\s*", re.DOTALL)
QUOTE = '<|"|>'


def read_gemma(body: str, tools: Tools) -> list[Call]:
    """Gemma 4's object: keys without quotes, texts in ``<|"|>``."""
    found = GEMMA_CALL.fullmatch(body)
    if found is None:
        raise ValueError("no call")
    if found[2].count(QUOTE) % 2:
        raise ValueError("an open quote")
    return [(found[1], json.loads(gemma_json(found[2])), None)]


HERMES = ToolSyntax("hermes", "<tool_call>", "</tool_call>", read_tagged)
MISTRAL = ToolSyntax("mistral", "[TOOL_CALLS]", None, read_named, inside=("[CALL_ID]", "[ARGS]"))
GEMMA = ToolSyntax("gemma", "<|tool_call>", "<tool_call|>", read_gemma, inside=(QUOTE,), ends=("<|tool_response>",))
PHI = ToolSyntax("phi", "<|tool_call|>", "<|/tool_call|>", read_objects)
LLAMA = ToolSyntax("llama", "<|python_tag|>", None, read_objects, bare=True, ends=("<|eom_id|>",))


BEGUN_OBJECT = re.compile(r'\W*"name"\s*:\s*"([^"]*)"(?:\s*,\s*"(?:arguments|parameters)"\s*:\s*(.*))?', re.DOTALL)
BEGUN_NAMED = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*\w*\s*)?\[ARGS\]\s*(.*)", re.DOTALL)
BEGUN_GEMMA = re.compile(r"\s*call:([\w.-]+)\s*(\{.*)", re.DOTALL)
BEGUN_TAGS = re.compile(r"\s*<function=([^>\n]+)>(.*)", re.DOTALL)


def unclosed(body: str) -> bool:
    """Whether a call in tags lacks its end, without which it reads as a whole one with fewer parameters."""
    return "<function=" in body and "</function>" not in body


def partial_call(syntax: ToolSyntax, body: str, tools: Tools) -> tuple[str, str] | None:
    """The name and the beginning of the arguments, as JSON, of a call that was cut; ``None`` before its name ends."""
    if syntax is GEMMA and (found := BEGUN_GEMMA.match(body)):
        return found[1], gemma_json(found[2])
    if syntax is HERMES and (found := BEGUN_TAGS.match(body)):
        pairs = [
            f"{json.dumps(key.strip())}: {json.dumps(value.strip())}" for key, value in PARAMETER.findall(found[2])
        ]
        return found[1].strip(), "{" + ", ".join(pairs)
    if syntax is MISTRAL and (found := BEGUN_NAMED.match(body)):
        return found[1], found[2]
    if found := BEGUN_OBJECT.match(body):
        return found[1], found[2] or ""
    return None


def gemma_json(text: str) -> str:
    """Gemma 4's object as JSON; of one that was cut, the beginning."""
    pieces = text.split(QUOTE)
    written = [
        json.dumps(piece) if index % 2 else re.sub(r"([{,]\s*)([A-Za-z_][\w.-]*)(\s*:)", r'\1"\2"\3', piece)
        for index, piece in enumerate(pieces)
    ]
    return "".join(written).removesuffix('"' if len(pieces) % 2 == 0 else "")


def syntax_of(template: str) -> ToolSyntax:
    """How a model with this chat template writes calls. Templates write earlier calls as the model writes new ones."""
    for syntax in (MISTRAL, GEMMA, PHI, HERMES):
        if syntax.opening in template:
            return syntax
    return LLAMA if LLAMA.opening in template or '"parameters"' in template else HERMES
