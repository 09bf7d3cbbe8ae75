"""What a model said earlier, as clients and gateways send it back: taken as it was said.

Whoever asks cannot change it any more, so nothing of it is refused for its form.
"""

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
"""Fields that other services, gateways and client libraries leave in an assistant's turn."""
THOUGHTS = ("thinking", "reasoning", "redacted_thinking")


def arguments(value: object) -> str:
    """The arguments of an earlier call as the text of a JSON object.

    Calls are cut at a token limit, written twice over, or say null: what can be read of them is kept.
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


def is_thought(part: object) -> bool:
    """Whether a part of an assistant's turn is a thought."""
    return isinstance(part, dict) and part.get("type") in THOUGHTS


def reasoning(turn: Mapping[str, Any], content: object = None) -> str:
    """What an assistant thought, under whichever of its names it comes; the same under several counts once."""
    for name in ("reasoning_content", "reasoning", "reasoning_text"):
        if isinstance(turn.get(name), str) and turn[name]:
            return str(turn[name])
    for told in (turn.get("thinking_blocks"), turn.get("reasoning_details"), content):
        if isinstance(told, list) and (text := "".join(text for one in told if is_told(one) for text in texts(one))):
            return text
    return ""


def is_told(part: object) -> bool:
    """Whether a part of a list of thoughts, or of the content, holds a thought in words."""
    return isinstance(part, dict) and str(part.get("type", "")).partition(".")[0] in THOUGHTS


def texts(thought: Mapping[str, Any]) -> Iterator[str]:
    """The words of a thought: a text, or parts of text, under one of several names."""
    for name in ("thinking", "reasoning", "text", "summary", "content"):
        match thought.get(name):
            case str(text):
                yield text
            case list(parts):
                yield from (
                    part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
                )
