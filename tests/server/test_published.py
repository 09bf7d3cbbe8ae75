"""Answers against the types that OpenAI and Anthropic publish with their clients, made from their own descriptions.

``make test-clients`` holds them against the descriptions themselves.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import anthropic.types
import httpx
import openai.types.chat
import openai.types.responses
import pytest
from pydantic import BaseModel, TypeAdapter

from .conftest import Running
from .test_fields import WEATHER

ASK = "What can you do?"
HI = [{"role": "user", "content": ASK}]
FLAT = {"type": "function", **WEATHER["function"]}
THEIRS = {"name": "get_weather", "input_schema": WEATHER["function"]["parameters"]}
OURS = {
    "reasoning_content",
    "image_tokens",
    "audio_tokens",
    "video_tokens",
    "store",
    "presence_penalty",
    "frequency_penalty",
    "bytes",
    "name",
}
"""What is told beyond their types: for Open Responses, or as earlier versions had it; seconds and rates are, too."""


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def check(value: Any, kind: Any) -> None:
    """Every field there, of its type, and none that they do not know but for ours."""
    found = adapter(kind).validate_python(value, strict=True)
    extra = {name for name in extras(found) if name not in OURS and not name.endswith("_sec")}
    assert extra == set(), extra


def extras(value: Any) -> Iterator[str]:
    """The names of fields that the types do not have."""
    if isinstance(value, list):
        for item in value:
            yield from extras(item)
    elif isinstance(value, BaseModel):
        yield from value.model_extra or {}
        for name in type(value).model_fields:
            yield from extras(getattr(value, name))


def events(response: httpx.Response) -> list[Any]:
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"logprobs": True, "top_logprobs": 1, "n": 2},
        {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 90},
    ],
    ids=["plain", "logprobs", "a call"],
)
def test_chat_completions(server: Running, fields: dict[str, Any]) -> None:
    asked = {"model": "default", "messages": HI, "max_tokens": 3, "temperature": 0, **fields}
    check(server.chat(**asked).json(), openai.types.chat.ChatCompletion)
    for chunk in events(server.chat(**asked, stream=True, stream_options={"include_usage": True})):
        check(chunk, openai.types.chat.ChatCompletionChunk)


def test_completions(server: Running) -> None:
    asked = {"prompt": ["A red", "A"], "max_tokens": 3, "logprobs": 1, "echo": True}
    answer = server.post("/v1/completions", **asked).json()
    for choice in answer["choices"]:  # their type lacks the null of a prompt's first token
        for name in ("token_logprobs", "top_logprobs"):
            assert choice["logprobs"][name].pop(0) is None
    check(answer, openai.types.Completion)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"top_logprobs": 1, "metadata": {"a": "b"}, "reasoning": {"effort": "low"}, "instructions": "Be brief."},
        {"tools": [FLAT], "tool_choice": "required", "max_output_tokens": 90},
        {"tools": [{"type": "custom", "name": "say"}], "text": {"format": {"type": "text"}}},
    ],
    ids=["plain", "much said", "a call", "custom"],
)
def test_responses(server: Running, fields: dict[str, Any]) -> None:
    asked = {"model": "default", "input": ASK, "max_output_tokens": 3, "temperature": 0, **fields}
    check(server.post("/v1/responses", **asked).json(), openai.types.responses.Response)
    for event in events(server.post("/v1/responses", **asked, stream=True)):
        check(event, openai.types.responses.ResponseStreamEvent)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stop_sequences": ["can"], "max_tokens": 9},
        {"tools": [THEIRS], "tool_choice": {"type": "any"}, "max_tokens": 90},
    ],
    ids=["plain", "stop", "a call"],
)
def test_messages(server: Running, fields: dict[str, Any]) -> None:
    asked = {"model": "default", "messages": HI, "max_tokens": 3, "temperature": 0, **fields}
    check(server.post("/v1/messages", **asked).json(), anthropic.types.Message)
    for event in events(server.post("/v1/messages", **asked, stream=True)):
        check(event, anthropic.types.RawMessageStreamEvent)
    count = {key: asked[key] for key in asked if key in ("messages", "tools")}
    check(server.post("/v1/messages/count_tokens", **count).json(), anthropic.types.MessageTokensCount)


def test_models(server: Running) -> None:
    for found in httpx.get(f"{server.url}/v1/models").json()["data"]:
        adapter(openai.types.Model).validate_python(found, strict=True)
