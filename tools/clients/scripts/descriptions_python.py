"""Answers held against the OpenAPI descriptions that OpenAI, Anthropic and Open Responses publish.

The package llm-comply brings copies of them. Only what answers say is looked at: fields beyond the description are
allowed there, wrong types, missing fields and unknown values are not.
"""

import json
import urllib.error
import urllib.request
from importlib.resources import files

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from steps import ASK_PICTURE, MODEL, URL, WEATHER, picture, run, step

HI = [{"role": "user", "content": "What can you do?"}]
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": WEATHER | {"additionalProperties": False}},
}
FLAT = {"type": "function", **TOOL["function"]}
THEIRS = {"name": "get_weather", "input_schema": TOOL["function"]["parameters"]}


def plain(node):
    """OpenAPI 3.0's ``nullable`` in JSON Schema's words."""
    if isinstance(node, list):
        return [plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {key: plain(value) for key, value in node.items() if key not in ("nullable", "discriminator")}
    return {"anyOf": [found, {"type": "null"}]} if node.get("nullable") is True else found


SPECS = {
    name: plain(json.loads(files("llm_comply.specs").joinpath(f"{name}.json").read_text()))
    for name in ("openai_chat", "anthropic", "openresponses")
}


def valid(value, spec, name):
    """Check a value against a schema of a description."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": SPECS[spec]["components"]}
    error = best_match(Draft202012Validator(schema).iter_errors(value))
    if error is not None:
        deepest = min(error.context, key=lambda one: len(one.message), default=error) if error.context else error
        raise AssertionError(f"{error.json_path}: {error.message[:90]} ({deepest.json_path}: {deepest.message[:60]})")


def ask(path, body=None):
    """The text of an answer, whatever its status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=50) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def without(value, *names):
    """What is sent while an answer grows, without the nulls that OpenAI sends there though its description has none."""
    if isinstance(value, list):
        return [without(one, *names) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: without(one, *names) for key, one in value.items() if one is not None or key not in names}


def whole(path, **body):
    """One answer."""
    found = json.loads(ask(path, {"model": MODEL, **body}))
    assert "error" not in found or found["error"] is None, str(found)[:120]
    return found


def events(path, **body):
    """The data of a stream."""
    text = ask(path, {"model": MODEL, "stream": True, **body})
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


FIELDS = {
    "plain": {},
    "logprobs, n": {"logprobs": True, "top_logprobs": 2, "n": 2},
    "a call": {"tools": [TOOL], "tool_choice": "required"},
    "cut": {"max_tokens": 2},
}
for what, fields in FIELDS.items():

    @step(f"chat completions: {what}")
    def chat(fields=fields):
        asked = {"messages": HI, "max_tokens": 200} | fields
        valid(whole("/v1/chat/completions", **asked), "openai_chat", "CreateChatCompletionResponse")
        for chunk in events("/v1/chat/completions", stream_options={"include_usage": True}, **asked):
            valid(chunk, "openai_chat", "CreateChatCompletionStreamResponse")


@step("chat completions: picture", media=True)
def chat_picture():
    content = [{"type": "image_url", "image_url": {"url": picture()}}, {"type": "text", "text": ASK_PICTURE}]
    asked = {"messages": [{"role": "user", "content": content}]}
    valid(whole("/v1/chat/completions", **asked), "openai_chat", "CreateChatCompletionResponse")


@step("completions")
def completions():
    for fields in ({}, {"logprobs": 2, "n": 2}):
        asked = {"prompt": "A red", "max_tokens": 3} | fields
        valid(whole("/v1/completions", **asked), "openai_chat", "CreateCompletionResponse")
        for chunk in events("/v1/completions", **asked):
            grown = chunk["choices"][0]
            grown["finish_reason"] = grown["finish_reason"] or "stop"  # null until the end, as OpenAI sends it
            valid(chunk, "openai_chat", "CreateCompletionResponse")


@step("models, errors")
def models():
    valid(json.loads(ask("/v1/models")), "openai_chat", "ListModelsResponse")
    valid(json.loads(ask(f"/v1/models/{MODEL}")), "openai_chat", "Model")
    for path in ("/v1/chat/completions", "/v1/responses"):
        valid(json.loads(ask(path, {"temperature": "hot"})), "openai_chat", "ErrorResponse")


RESPONSES = {
    "plain": {},
    "a call": {"tools": [FLAT], "tool_choice": "required"},
    "logprobs": {"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
    "cut": {"max_output_tokens": 2},
    "everything said": {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "truncation": "auto",
        "parallel_tool_calls": False,
        "max_tool_calls": 3,
        "service_tier": "auto",
        "user": "u",
    },
}
for what, fields in RESPONSES.items():

    @step(f"responses: {what} (OpenAI's)")
    def responses(fields=fields):
        asked = {"input": "What can you do?", "max_output_tokens": 200} | fields
        valid(whole("/v1/responses", **asked), "openai_chat", "Response")
        for event in events("/v1/responses", **asked):
            valid(without(event, "usage"), "openai_chat", "ResponseStreamEvent")

    @step(f"responses: {what} (Open Responses)")
    def open_responses(fields=fields):
        asked = {"input": "What can you do?", "max_output_tokens": 200} | fields
        valid(whole("/v1/responses", **asked), "openresponses", "ResponseResource")


MESSAGES = {
    "plain": {},
    "a call": {"tools": [THEIRS], "tool_choice": {"type": "any"}},
    "stop sequence": {"stop_sequences": ["can"]},
    "cut": {"max_tokens": 2},
}
for what, fields in MESSAGES.items():

    @step(f"messages: {what}")
    def messages(fields=fields):
        asked = {"messages": HI, "max_tokens": 200} | fields
        valid(whole("/v1/messages", **asked), "anthropic", "Message")
        for event in events("/v1/messages", **asked):
            valid(event, "anthropic", "MessageStreamEvent")


@step("messages: count_tokens, models, errors")
def others():
    valid(whole("/v1/messages/count_tokens", messages=HI), "anthropic", "CountMessageTokensResponse")
    valid(json.loads(ask("/v1/messages", {"messages": HI})), "anthropic", "ErrorResponse")


run()
