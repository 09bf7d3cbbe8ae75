"""Answers in a form: what is held to, what is left out and named, tools beside a form, calls that were cut."""

import json
from typing import Any

import pytest

from .conftest import Running

ASK = "What can you do?"
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Bonn", "Rome"]},
        "tags": {"items": {"enum": ["a"]}, "maxItems": 1, "uniqueItems": True},
    },
    "required": ["city"],
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


def form(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


def test_what_no_grammar_holds_is_left_out_and_named(server: Running) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"enum": [1]}, "p": {"type": "string", "format": "path", "maxLength": 3}},
    }
    schema |= {"required": ["a"], "propertyNames": {"pattern": "^[ap]$"}}
    answer = server.chat(messages=ASK, response_format=form(schema), temperature=0)
    assert answer.status_code == 200
    assert json.loads(answer.json()["choices"][0]["message"]["content"])["a"] == 1
    assert set(answer.headers["x-ignored-fields"].split(", ")) == {"schema.propertyNames", "schema.properties.p.format"}
    refused = server.chat(messages=ASK, response_format=form(schema, strict=True))
    assert refused.status_code == 400
    assert "propertyNames at $ cannot be enforced" in refused.json()["error"]["message"]


def test_a_forced_call_needs_no_closed_schema(server: Running) -> None:
    fields: dict[str, Any] = {
        "messages": "Weather in Rome?",
        "tools": [TOOL],
        "tool_choice": "required",
        "temperature": 0,
    }
    answer = server.chat(**fields, max_tokens=200)
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])["city"] in ("Bonn", "Rome")
    assert answer.headers["x-ignored-fields"] == "tools[].function.parameters.properties.tags.uniqueItems"


@pytest.mark.parametrize("tokens", [2, 12])
def test_a_forced_call_that_is_cut_is_no_text(server: Running, tokens: int) -> None:
    fields: dict[str, Any] = {"messages": ASK, "tools": [TOOL], "tool_choice": "required", "temperature": 0}
    choice = server.chat(**fields, max_tokens=tokens).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert not choice["message"]["content"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    body = {"name": "get_weather", "input_schema": WEATHER}
    answer = server.post(
        "/v1/messages", max_tokens=tokens, messages=[{"role": "user", "content": ASK}], tools=[body],
        tool_choice={"type": "any"}, temperature=0,
    ).json()  # fmt: skip
    assert answer["stop_reason"] == "max_tokens"
    assert [(block["type"], isinstance(block["input"], dict)) for block in answer["content"]] == [("tool_use", True)]


def test_tools_go_with_a_form_of_the_answer(server: Running) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    fields: dict[str, Any] = {"messages": ASK, "tools": [TOOL], "response_format": form(schema), "temperature": 0}
    message = server.chat(**fields, max_tokens=100).json()["choices"][0]["message"]
    if message.get("tool_calls"):
        assert message["tool_calls"][0]["function"]["name"] == "get_weather"
    else:
        assert set(json.loads(message["content"])) == {"ok"}
    unasked = server.chat(**fields | {"tool_choice": "none"}, max_tokens=100).json()["choices"][0]["message"]
    assert set(json.loads(unasked["content"])) == {"ok"}
    refused = server.chat(messages=ASK, tools=[TOOL], grammar={"type": "lark", "value": 'start: "a"'})
    assert refused.status_code == 400
    assert "exclude each other" in refused.json()["error"]["message"]


def test_errors_name_the_parameters_that_are_wrong(server: Running) -> None:
    wrong = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "nothing"}}}}}
    answer = server.chat(messages=ASK, tools=[wrong], tool_choice="required")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("tools[0].function.parameters is not valid: Invalid type")
