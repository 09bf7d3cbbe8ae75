"""A conversation as chat templates take it, and what they say where they refuse one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import MediaDecodeError, TemplateError
from ..messages import Message


def merged(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Content items with neighbouring texts in one: some templates read the first text alone, others trim each."""
    found: list[dict[str, Any]] = []
    for item in items:
        if found and item["type"] == found[-1]["type"] == "text":
            found[-1] = {"type": "text", "text": found[-1]["text"] + item["text"]}
        else:
            found.append(item)
    return found


def spoken(message: Message) -> dict[str, Any]:
    """What a turn says beside its content, under the names that chat templates use."""
    said: dict[str, Any] = {
        "name": message.name,
        "tool_call_id": message.tool_call_id,
        "reasoning_content": message.reasoning or None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in message.tool_calls
        ]
        or None,
    }
    return {key: value for key, value in said.items() if value is not None}


def require_template(processor: Any) -> None:
    """Raise ``TemplateError`` where a checkpoint has no template at all."""
    if not getattr(processor, "chat_template", None):
        raise TemplateError(
            "This checkpoint has no chat template.",
            "Name one: --chat-template FILE.json or --jinja-explicit FILE.jinja",
        )


@contextmanager
def template_errors(conversation: Sequence[dict[str, Any]]) -> Iterator[None]:
    """What a template or a processor raises on a conversation, as ``TemplateError`` or ``MediaDecodeError``."""
    import jinja2

    try:
        yield
    except jinja2.TemplateError as error:
        line = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise TemplateError(
            f"The chat template refused this conversation{line}: {error}",
            "Check the order of roles, or override the template with --jinja-explicit FILE.jinja",
        ) from error
    except (TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise TemplateError(
            f"The chat template failed on this conversation: {error}",
            "Does it expect content as text, or as a list of parts? --jinja-explicit FILE.jinja overrides it.",
        ) from error
    except ValueError as error:
        if "continue_final_message" in str(error):
            raise TemplateError(
                "The chat template changes the last turn, so it cannot be continued.",
                "End with a turn of the user, or override the template with --jinja-explicit FILE.jinja",
            ) from error
        if all(isinstance(part, str) or part["type"] == "text" for turn in conversation for part in turn["content"]):
            raise TemplateError(
                f"The model's processor refused this conversation: {error}",
                "Override the chat template with --jinja-explicit FILE.jinja",
            ) from error
        raise MediaDecodeError(
            f"The model's processor refused this prompt: {error}", "Try --max-edge, or another picture shape."
        ) from error
