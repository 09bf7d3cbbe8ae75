"""A result as the row that is written: a JSON object of ours, or one of OpenAI's batch files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import MistralrsError
from ..events import Done, Reply
from ..options import Grammar
from ..protocol import choice, head, usage
from .rows import Result

UNEXPECTED = "unexpected_error"


def row_object(result: Result, digest: str, model: str, grammar: Grammar | None) -> dict[str, Any]:
    """The object that a row becomes. ``grammar`` is the run's: an answer under a JSON schema is written as JSON."""
    row, reply = result.row, result.reply
    if row.custom_id is not None:
        return batch_object(result, digest, model)
    found: dict[str, Any] = {"id": row.id}
    if row.paths:
        found["path"] = row.paths[0]
    if len(row.paths) > 1:
        found["paths"] = list(row.paths)
    if row.columns:
        found["row"] = dict(row.columns)
    found["answer"] = None if reply is None else answer(reply, whole=result.error is None, grammar=grammar)
    if reply is not None:
        if reply.reasoning:
            found["reasoning"] = reply.reasoning
        if reply.tool_calls:
            found["tool_calls"] = [{"name": call.name, "arguments": call.arguments} for call in reply.tool_calls]
        found |= reply.found.objects()
        found["finish_reason"] = reply.reason
        found["prompt_tokens"] = reply.usage.prompt_tokens
        found["completion_tokens"] = reply.usage.completion_tokens
    notes = [*result.notes, *(() if reply is None else reply.found.left_out)]
    if notes:
        found["notes"] = notes
    found["seconds"] = round(result.seconds, 3)
    if result.error is not None:
        found["error"] = error_object(result.error)
    return found | {"digest": digest}


def answer(reply: Reply, *, whole: bool, grammar: Grammar | None) -> Any:
    """An answer: its text, or under a JSON schema the value that it holds."""
    if whole and grammar is not None and (grammar.kind == "json_schema" or grammar.json):
        try:
            return json.loads(reply.text)
        except ValueError:
            return reply.text
    return reply.text


def error_object(error: Exception) -> dict[str, Any]:
    """Why a row has no answer."""
    if isinstance(error, MistralrsError):
        found = {"code": error.code, "message": error.message}
        return found | ({"hint": error.hint} if error.hint else {})
    return {"code": UNEXPECTED, "message": f"{type(error).__name__}: {error}"}


def batch_object(result: Result, digest: str, model: str) -> dict[str, Any]:
    """A line of OpenAI's output files."""
    found: dict[str, Any] = {"id": result.row.id, "custom_id": result.row.custom_id, "response": None, "error": None}
    if result.error is not None:
        found["error"] = error_object(result.error)
    if result.reply is not None:
        reply = result.reply
        body = head("chat.completion", model)
        body |= {"choices": [choice(0, reply)], "usage": usage(Done(reply.reason, reply.usage, reply.timing))}
        found["response"] = {"status_code": 200, "request_id": body["id"], "body": body}
    return found | {"digest": digest}


def line(value: Mapping[str, Any]) -> bytes:
    """An object as a line; names of files that are no text are escaped."""
    try:
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode() + b"\n"
