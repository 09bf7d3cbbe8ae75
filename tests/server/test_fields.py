"""Every field of a chat request does what it says, or is refused by its name."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from mistralrs_cli.server.interfaces.common_fields import UnusedFields
from mistralrs_cli.server.interfaces.schemas import ChatRequest

from .conftest import Running, Start
from .test_chat import RED, ask, picture

ASK = "What can you do?"
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Bonn", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


VOCABULARY = 2048


def changed(**parameters: Any) -> dict[str, Any]:
    """The function with other parameters."""
    return {"type": "function", "function": WEATHER["function"] | {"parameters": {"type": "object"} | parameters}}


def text(server: Running, **fields: Any) -> str:
    response = server.chat(messages=ASK, **fields)
    assert response.status_code == 200, response.text
    content: str = response.json()["choices"][0]["message"]["content"]
    return content


def test_a_seed_repeats_an_answer(server: Running) -> None:
    drawn = {"temperature": 3.0, "top_k": 0, "top_p": 1.0, "max_tokens": 12}
    assert text(server, seed=5, **drawn) == text(server, seed=5, **drawn) != text(server, seed=6, **drawn)


def test_the_servers_seed_is_for_requests_that_name_none(server: Running, start: Start) -> None:
    drawn = {"temperature": 3.0, "top_k": 0, "top_p": 1.0, "max_tokens": 12}
    seeded = start(seed=5)
    assert text(seeded, **drawn) == text(seeded, **drawn) == text(server, seed=5, **drawn)
    assert text(seeded, seed=6, **drawn) == text(server, seed=6, **drawn) != text(seeded, **drawn)


def test_several_choices_are_told_apart(client: openai.OpenAI) -> None:
    fields: Any = {"n": 3, "temperature": 3.0, "seed": 5, "max_tokens": 8, "extra_body": {"top_k": 0}}
    messages: Any = [{"role": "user", "content": ASK}]
    whole = client.chat.completions.create(model="default", messages=messages, **fields)
    said = [choice.message.content for choice in whole.choices]
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert len(set(said)) == 3
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 8
    streamed = ["", "", ""]
    for chunk in client.chat.completions.create(model="default", messages=messages, stream=True, **fields):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == said


def test_stop_texts_end_an_answer_and_are_no_part_of_it(server: Running) -> None:
    whole = text(server, temperature=0)
    assert "demo" in whole
    assert text(server, temperature=0, stop="demo") == whole.partition("demo")[0]
    assert text(server, temperature=0, stop=["zzz", "tiny"]) == whole.partition("tiny")[0]


def test_limits_and_their_two_names(server: Running) -> None:
    for name in "max_tokens", "max_completion_tokens":
        answer = server.chat(messages=ASK, **{name: 3}).json()
        assert answer["usage"]["completion_tokens"] == 3
        assert answer["choices"][0]["finish_reason"] == "length"
    answer = server.chat(messages=ASK, max_tokens=90, ignore_eos=True).json()
    assert answer["usage"]["completion_tokens"] == 90


def test_log_probabilities(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": ASK}]
    fields: Any = {"temperature": 0, "max_tokens": 6, "logprobs": True, "top_logprobs": 2}
    done = client.chat.completions.create(model="default", messages=messages, **fields)
    logprobs = done.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == done.choices[0].message.content
    for token in logprobs.content:
        assert token.token == token.top_logprobs[0].token
        assert token.logprob == token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob
        assert bytes(token.bytes or []).decode() == token.token
    streamed = [
        token.token
        for chunk in client.chat.completions.create(model="default", messages=messages, stream=True, **fields)
        for choice in chunk.choices
        if choice.logprobs is not None
        for token in choice.logprobs.content or []
    ]
    assert streamed == [token.token for token in logprobs.content]


def test_a_bias_changes_the_answer(server: Running) -> None:
    plain = server.chat(messages=ASK, temperature=0, max_tokens=1, logprobs=True).json()["choices"][0]
    first = plain["message"]["content"]
    ids = server.service.default.ready().encode(first, special=False)
    assert not text(server, temperature=0, max_tokens=1, logit_bias={str(ids[0]): -100}).startswith(first)


@pytest.mark.parametrize(
    ("fields", "pattern"),
    [
        ({"grammar": {"type": "regex", "value": "(red|blue){2}"}}, r"(red|blue){2}"),
        ({"grammar": {"type": "lark", "value": 'start: "yes" " " /[0-9]{2}/'}}, r"yes \d\d"),
        ({"grammar": {"type": "json_schema", "value": {"enum": ["a", "b"]}}}, r'"[ab]"'),
        (
            {"grammar": {"type": "llguidance", "value": json.dumps({"grammars": [{"lark_grammar": 'start: "hm"'}]})}},
            "hm",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "shape",
                        "strict": True,
                        "schema": {
                            "type": "object",
                            "properties": {"color": {"enum": ["red", "blue"]}, "count": {"enum": [1, 2]}},
                            "required": ["color", "count"],
                            "additionalProperties": False,
                        },
                    },
                }
            },
            r'\{"color": "(red|blue)", "count": [12]\}',
        ),
        (
            {"response_format": {"type": "json_object"}, "max_tokens": 200, "temperature": 0},
            r"\{.*",
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_forms_of_the_answer_are_kept(server: Running, fields: dict[str, Any], pattern: str) -> None:
    assert re.fullmatch(pattern, text(server, **({"temperature": 2.0, "seed": 1} | fields)), re.DOTALL)


def test_a_long_conversation_is_cut_where_asked(server: Running) -> None:
    long = {"messages": "word " * 9000, "max_tokens": 2}
    assert server.chat(**long).status_code == 400
    assert server.chat(**long, truncate_sequence=True).json()["usage"]["prompt_tokens"] == 8190


def test_a_forced_call_fits_its_schema(client: openai.OpenAI) -> None:
    for choice in "required", {"type": "function", "function": {"name": "get_weather"}}:
        fields: Any = {"tools": [WEATHER], "tool_choice": choice, "temperature": 1.0, "seed": 3}
        messages: Any = [{"role": "user", "content": "Weather?"}]
        done = client.chat.completions.create(model="default", messages=messages, **fields)
        assert done.choices[0].finish_reason == "tool_calls"
        assert done.choices[0].message.content is None
        (call,) = done.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "get_weather"
        arguments = json.loads(call.function.arguments)
        assert arguments["city"] in ("Bonn", "Rome")
        assert 1 <= arguments["days"] <= 9
        chunks = list(client.chat.completions.create(model="default", messages=messages, stream=True, **fields))
        (delta,) = [one for chunk in chunks for choice in chunk.choices for one in choice.delta.tool_calls or []]
        assert delta.function is not None
        assert json.loads(delta.function.arguments or "") == arguments
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        answered = [
            *messages,
            done.choices[0].message.model_dump(),
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
        ]
        assert ask(client, answered, tools=[WEATHER], tool_choice="none", max_tokens=5)


def test_tools_that_need_not_be_called(client: openai.OpenAI, samples: Path) -> None:
    answer = ask(client, picture(str(samples / RED)), tools=[WEATHER], temperature=0)
    assert "circle" in answer


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [WEATHER]}, "functions"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"guided_regex": "a+"}, "guided_regex"),
        ({"min_tokens": 5}, "min_tokens"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"continue_final_message": True, "add_generation_prompt": True}, "continue_final_message"),
        ({"modalities": ["text", "audio"]}, "modalities[1]"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": 99}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"chat_template_kwargs": {"add_generation_prompt": False}}, "chat_template_kwargs.add_generation_prompt"),
        ({"enable_thinking": True}, "enable_thinking"),
        ({"reasoning_effort": "very"}, "reasoning_effort"),
        ({"thinking": {"type": "deep"}}, "thinking.type"),
        ({"tools": [WEATHER], "grammar": {"type": "lark", "value": 'start: "yes"'}}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "cook"}}}, "tool_choice"),
        ({"tools": [changed(properties=[])]}, "tools[0].function.parameters.properties"),
        ({"stop": [""]}, "stop"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": 10**40}, "top_k"),
        ({"seed": 10**40}, "seed"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"999999999": 1}}, "logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, "logit_bias"),
        ({"logit_bias": dict.fromkeys(map(str, range(VOCABULARY)), -100)}, "logit_bias"),
        ({"logit_bias": dict.fromkeys(map(str, range(VOCABULARY)), -100), "temperature": 0}, "logit_bias"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_done_is_refused_by_name(server: Running, fields: dict[str, Any], param: str) -> None:
    response = server.chat(messages=ASK, **fields)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("name", ["regex", "lark", "json_schema", "llguidance"])
def test_a_broken_grammar_is_the_clients_mistake(server: Running, name: str) -> None:
    response = server.chat(messages=ASK, grammar={"type": name, "value": "((("})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "grammar_error")


DEEP = "[" * 200_000
CHAIN = "start: a0\n" + "\n".join(f"a{i}: a{i + 1} a{i + 1}" for i in range(10_000)) + '\na10000: "x"'


@pytest.mark.parametrize(
    "grammar",
    [
        {"type": "lark", "value": CHAIN},
        {"type": "lark", "value": CHAIN * 2},
        {"type": "lark", "value": 'start: "' + "x" * 2**18 + '"'},
        {"type": "json_schema", "value": DEEP},
        {"type": "json_schema", "value": {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}},
        {
            "type": "json_schema",
            "value": {
                "$defs": {f"a{i}": {"items": {"$ref": f"#/$defs/a{i + 1}"}} for i in range(4000)} | {"a4000": True},
                "$ref": "#/$defs/a0",
            },
        },
    ],
    ids=["long chain", "twice", "long", "deep", "endless", "references"],
)
def test_no_grammar_ends_the_server(server: Running, grammar: dict[str, Any]) -> None:
    """Rules that lead from each to the next would fill the stack; what cannot be kept to must not end early."""
    response = server.chat(messages=ASK, grammar=grammar, max_tokens=2)
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert response.json()["choices"][0]["message"]["content"]
    assert server.chat(messages=ASK, max_tokens=1).status_code == 200


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (picture({"url": RED, "max_edge": 10**400}), "messages[0].content[0].max_edge"),
    ],
    ids=["number"],
)
def test_what_is_too_much_is_the_clients_mistake(server: Running, messages: Any, param: str) -> None:
    response = server.chat(messages=messages)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 48, "ignore_eos": True}
HOT: dict[str, Any] = {"temperature": 3.0, "seed": 5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "max_tokens": 12}
DRY: dict[str, Any] = GREEDY | {"max_tokens": 80, "dry_multiplier": 1.0, "dry_allowed_length": 1}
SAID = [{"role": "user", "content": ASK}, {"role": "assistant", "content": "Hello! I am the tiny"}]
EFFECTS: dict[str, tuple[dict[str, Any], Any]] = {
    "model": ({}, "another"),
    "messages": (GREEDY, "What is this?"),
    "stream": (GREEDY, True),
    "stream_options": (GREEDY | {"stream": True}, {"include_usage": True}),
    "n": (GREEDY, 2),
    "max_tokens": (GREEDY, 3),
    "max_completion_tokens": ({"temperature": 0}, 3),
    "temperature": (GREEDY | {"seed": 1}, 3.0),
    "top_p": (HOT, 0.01),
    "top_k": (HOT, 1),
    "min_p": (HOT, 0.9),
    "repetition_penalty": (GREEDY, 3.0),
    "frequency_penalty": (GREEDY, 2.0),
    "presence_penalty": (GREEDY, 50.0),
    "stop": (GREEDY, "demo"),
    "seed": (HOT, 6),
    "logprobs": (GREEDY, True),
    "top_logprobs": (GREEDY | {"logprobs": True}, 2),
    "logit_bias": (GREEDY, dict.fromkeys(map(str, range(300)), -100)),
    "response_format": (GREEDY, {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": 7}}}),
    "grammar": (GREEDY, {"type": "regex", "value": "(red|blue)"}),
    "dry_multiplier": (GREEDY | {"max_tokens": 80}, 1.0),
    "dry_base": (DRY, 100.0),
    "dry_allowed_length": (DRY, 40),
    "dry_sequence_breakers": (DRY, [""]),
    "ignore_eos": ({"temperature": 0, "max_tokens": 90}, True),
    "tools": (GREEDY, [WEATHER]),
    "tool_choice": (HOT | {"max_tokens": 60, "tools": [WEATHER]}, "required"),
    "parallel_tool_calls": ({"tools": [WEATHER]}, "yes"),  # what it does: tests/engine/test_tools.py
    "enable_thinking": (GREEDY, True),  # refused: this model cannot
    "chat_template_kwargs": (GREEDY, {"add_generation_prompt": False}),
    "modalities": (GREEDY, ["audio"]),
    "continue_final_message": (GREEDY | {"messages": [*SAID]}, True),
    "add_generation_prompt": (GREEDY, False),
}
ELSEWHERE = {"truncate_sequence"}  # above: its prompt is long
ELSEWHERE |= {"reasoning_effort", "thinking", "thinking_budget", "reasoning"}  # test_thinking.py
ELSEWHERE |= {"keep_alive"}  # test_models.py


def test_every_field_has_an_effect_here_or_is_said_to_have_none(root: Path) -> None:
    assert EFFECTS.keys() | ELSEWHERE == ChatRequest.model_fields.keys() - UnusedFields.model_fields.keys()
    page = (root / "docs" / "server.md").read_text(encoding="utf-8")
    assert [name for name in ChatRequest.model_fields if f"`{name}`" not in page] == []


Answer = tuple[int, Any]


def outcome(server: Running, fields: dict[str, Any]) -> Answer:
    """The status, and what of the answer a field may change."""
    response = server.chat(**({"messages": ASK} | fields))
    if response.status_code != 200:
        return response.status_code, response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        return 200, '"total_tokens"' in response.text
    answer = response.json()
    return 200, (answer["choices"], answer["usage"]["prompt_tokens"])


@pytest.fixture(scope="module")
def plain(server: Running) -> Callable[[dict[str, Any]], Answer]:
    """The outcome without the field under test; many fields are compared with the same one."""
    known: dict[str, Answer] = {}

    def ask_once(fields: dict[str, Any]) -> Answer:
        key = json.dumps(fields)
        if key not in known:
            known[key] = outcome(server, fields)
        return known[key]

    return ask_once


@pytest.mark.parametrize("name", EFFECTS)
def test_no_field_is_ignored(server: Running, plain: Callable[[dict[str, Any]], Answer], name: str) -> None:
    """With it the answer is another one, or it is refused by its name."""
    base, value = EFFECTS[name]
    status, answer = outcome(server, base | {name: value})
    if status == 200:
        assert plain(base) != (status, answer)
    else:
        assert name in answer
        assert plain(base)[0] == 200


def test_what_clients_send_for_openai_does_no_harm(server: Running) -> None:
    harmless = dict.fromkeys(UnusedFields.model_fields, "x") | {"metadata": {"a": "b"}, "store": True}
    assert server.chat(messages=ASK, max_tokens=1, **harmless).status_code == 200
    assert server.chat(messages=ASK, max_tokens=1, enable_thinking=False, reasoning_effort="off").status_code == 200
    nulls: dict[str, None] = dict.fromkeys(set(ChatRequest.model_fields) - {"messages"})
    assert server.chat(messages=ASK, **nulls).status_code == 200
