"""The key of a conversation: the same for each of its turns, so that they reach the replica that holds its KV cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pydantic_core import from_json

SESSION = "x-session-id"
"""The header by which a client says itself what belongs together."""
BEGINNING = 4096  # characters of a prompt without turns
IN_ROLES = ("system", "developer")
SHAPES = {
    "/v1/chat/completions": "messages",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "messages",
    "/v1/responses": "input",
    "/v1/completions": "prompt",
}
"""Where each interface has its conversation."""


FORM_MODEL = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,500})\r\n')
"""The model that a form names."""


def session_key(session: str) -> str:
    """The key of a session that a client named."""
    return f"session:{session}"


@dataclass(frozen=True)
class Destination:
    """Where a request should go: ``key`` says what belongs together, ``model`` which model it names."""

    key: str | None = None
    model: str | None = None


def destination(path: str, body: bytes) -> Destination:
    """What the body of a request says of where it should go.

    The key is made of a conversation's beginning: its system prompt, its first question and the content of its media.
    There is none where there is no conversation, or the body is not one: the replica says what is wrong with it.
    """
    if body.startswith(b"--"):
        named = FORM_MODEL.search(body)
        return Destination(model=named[1].decode("utf-8", "replace") if named else None)
    try:
        value = from_json(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        return Destination()
    if not isinstance(value, dict):
        return Destination()
    named = value.get("model") or value.get("model_id")
    model = named if isinstance(named, str) else None
    field = SHAPES.get(path)
    if field is None or field not in value:
        return Destination(model=model)
    digest = blake2b(digest_size=16)
    for text in beginning(value, field):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return Destination(digest.hexdigest(), model)


def conversation_key(path: str, body: bytes) -> str | None:
    """The key of ``destination``."""
    return destination(path, body).key


def beginning(body: Mapping[str, Any], field: str) -> Iterator[str]:
    """All texts of a body up to the end of its first question: URLs and base64 of media count as texts."""
    yield from texts(body.get("system") or body.get("instructions"))
    conversation = body[field]
    if isinstance(conversation, str):
        yield conversation[:BEGINNING]
        return
    if not isinstance(conversation, list):
        return
    if not any(isinstance(turn, dict) for turn in conversation):  # prompts, or token ids
        yield str(conversation[:BEGINNING])[:BEGINNING]
        return
    for turn in conversation:
        yield from texts(turn)
        role = turn.get("role") if isinstance(turn, dict) else None
        if role not in IN_ROLES:
            return


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, in the order of its fields' names: clients need not send them in one order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            if name != "cache_control":  # Anthropic's marks move from turn to turn
                yield str(name)
                yield from texts(value[name])
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif value is not None:
        yield str(value)
