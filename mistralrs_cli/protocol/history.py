"""An assistant's earlier turns, as clients and gateways send them back: nothing of them is refused for its form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

HISTORY = (
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "reasoning_text",
    "thinking_blocks",
    "thought_signature",
    "extra_content",
    "provider_specific_fields",
    "additional_kwargs",
    "response_metadata",
    "usage_metadata",
    "function_call",
    "audio",
    "images",
    "logprobs",
    "finish_reason",
    "stop_reason",
    "parsed",
    "phase",
    "status",
    "custom",
)
"""Fields that other services, gateways and client libraries leave in an assistant's message."""
REASONING = ("thinking", "reasoning", "redacted_thinking")


def arguments(value: object) -> str:
    """The arguments of an earlier call as the text of a JSON object.

    Calls may be cut at a token limit, encoded twice, or null: what can be parsed of them is kept.
    """
    from pydantic_core import from_json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = from_json(text, allow_partial="trailing-strings")
        except ValueError:
            found = None
    else:
        if isinstance(found, dict):
            return text
    if isinstance(found, str) and found != text:
        return arguments(found)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, dict) else "{}"


def is_reasoning(part: object) -> bool:
    """Whether a part of an assistant's message is reasoning."""
    return isinstance(part, dict) and part.get("type") in REASONING


def reasoning(turn: Mapping[str, Any], content: object = None) -> str:
    """The reasoning of an assistant's message, from the first of its field names that has any."""
    for name in ("reasoning_content", "reasoning", "reasoning_text"):
        if isinstance(turn.get(name), str) and turn[name]:
            return str(turn[name])
    for parts in (turn.get("thinking_blocks"), turn.get("reasoning_details"), content):
        if isinstance(parts, list):
            text = "".join(text for part in parts if has_reasoning(part) for text in texts(part))
            if text:
                return text
    return ""


def has_reasoning(part: object) -> bool:
    """Whether a part of such a list, or of the content, is reasoning as text, such as ``reasoning.text``."""
    return isinstance(part, dict) and str(part.get("type", "")).partition(".")[0] in REASONING


def texts(part: Mapping[str, Any]) -> Iterator[str]:
    """The text of a part of reasoning: a text, or parts of text, under one of several names."""
    for name in ("thinking", "reasoning", "text", "summary", "content"):
        match part.get(name):
            case str(text):
                yield text
            case list(parts):
                yield from (
                    inner["text"] for inner in parts if isinstance(inner, dict) and isinstance(inner.get("text"), str)
                )
