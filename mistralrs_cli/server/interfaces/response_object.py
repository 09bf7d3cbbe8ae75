"""The ``response`` object of ``/v1/responses`` before it has any output."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from .schemas import ResponsesRequest


def empty_response(body: ResponsesRequest, model: str, temperature: float, top_p: float) -> dict[str, Any]:
    """The object with the fields of its request, among them those that are without effect here."""
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": whole_or_none(body.max_tool_calls),
        "metadata": body.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "presence_penalty": body.presence_penalty or 0.0,
        "frequency_penalty": body.frequency_penalty or 0.0,
        "prompt_cache_key": text_or_none(body.prompt_cache_key),
        "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
        "safety_identifier": text_or_none(body.safety_identifier),
        "service_tier": "default",
        "store": False,
        "temperature": temperature,
        "text": {"format": (body.text.format if body.text else None) or {"type": "text"}},
        "tool_choice": body.tool_choice or "auto",
        "tools": [echoed_tool(tool) for tool in body.tools or []],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
    } | ({"user": body.user} if isinstance(body.user, str) else {})


def echoed_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as a response repeats it: a function's fields that were not sent are null."""
    unset = {"description": None, "parameters": None, "strict": None} if tool.get("type") == "function" else {}
    return unset | dict(tool)


def text_or_none(value: object) -> str | None:
    """A field without effect, if it is text."""
    return value if isinstance(value, str) else None


def whole_or_none(value: object) -> int | None:
    """A field without effect, if it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
