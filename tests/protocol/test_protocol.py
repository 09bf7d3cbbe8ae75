"""OpenAI's words to ours: nothing is dropped, whatever is not understood is named."""

import base64
import json
from typing import Any

import pytest

from mistralrs_cli.errors import MistralrsError, OptionError
from mistralrs_cli.messages import MediaBytes, MediaOptions, MediaRef, Message, Text, TextFile, ToolCall
from mistralrs_cli.options import Dry, Grammar, Sampling, Tools
from mistralrs_cli.protocol import conversation, sampling, tools
from mistralrs_cli.protocol.ignored_fields import without_empty

FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_one_text_is_the_users() -> None:
    assert conversation("hi") == (Message("user", (Text("hi"),)),)


def test_parts_keep_their_order_and_say_where_they_stood() -> None:
    (message,) = conversation(
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "video_url", "video_url": {"url": "c.mp4", "num_frames": 4, "end": 3}},
                    {"type": "input_text", "text": "b"},
                    {"type": "input_image", "image_url": "p.png", "detail": "low"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "audio_url", "audio_url": "s.mp3"},
                    {"type": "video_url", "video_url": {"url": "d.mp4"}, "fps": 2, "start": 1.5},
                ],
            }
        ],
        MediaOptions(max_edge=1000),
    )
    place = "messages[0].content[{}]".format
    assert message.parts == (
        Text("a"),
        MediaRef("video", "c.mp4", options=MediaOptions(max_edge=1000, frames=4, end=3.0), place=place(1)),
        Text("b"),
        MediaRef("image", "p.png", options=MediaOptions(max_edge=512), place=place(3)),
        MediaBytes("audio", "input_audio", data=b"\0\0\0", place=place(4)),
        MediaRef("audio", "s.mp3", options=MediaOptions(max_edge=1000), place=place(5)),
        MediaRef("video", "d.mp4", options=MediaOptions(max_edge=1000, fps=2.0, start=1.5), place=place(6)),
    )


def test_what_a_client_sends_back_of_an_answer_is_understood() -> None:
    """``message.model_dump()`` of OpenAI's client, and the result of a call."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    turns = conversation(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "hi", "name": "ann"},
            {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "annotations": [],
                "audio": None,
                "function_call": None,
                "tool_calls": [call],
                "reasoning_content": "hm",
            },
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
        ]
    )
    assert turns == (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("hi"),), name="ann"),
        Message("assistant", (), tool_calls=(ToolCall("c1", "f", '{"a": 1}'),), reasoning="hm"),
        Message("tool", (Text("sunny"),), tool_call_id="c1"),
    )


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ([], "messages"),
        (5, "messages"),
        (["hi"], "messages[0]"),
        ([{"role": "wizard", "content": ""}], "messages[0].role"),
        ([{"role": ["user"], "content": ""}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": "", "mood": 1}], "messages[0].mood"),
        ([{"role": "user", "content": [5]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"text": "x"}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": []}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "messages[0].content[0].image_url.url",
        ),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": " "}]}], "messages[0].content[0].image_url"),
        (
            [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "a", "fps": 0}}]}],
            "messages[0].content[0].fps",
        ),
        (
            [{"role": "user", "content": [{"type": "video_url", "video_url": "a", "fps": 1, "num_frames": 2}]}],
            "messages[0].content[0]",
        ),
        (
            [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "a", "start": 2, "end": 1}}]}],
            "messages[0].content[0].end",
        ),
        (
            [{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "a", "start": 2}}]}],
            "messages[0].content[0].audio_url.start",
        ),
        ([{"role": "assistant", "tool_calls": [{"function": {"arguments": "{"}}]}],
         "messages[0].tool_calls[0].function.name"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a", "max_pixels": 99}}]}],
            "messages[0].content[0].max_pixels",
        ),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named(messages: Any, param: str) -> None:
    with pytest.raises(MistralrsError) as caught:
        conversation(messages)
    assert caught.value.param == param
    assert param in caught.value.message


def test_every_field_of_sampling_arrives() -> None:
    found = sampling(
        max_completion_tokens=5,
        temperature=0.5,
        top_p=0.9,
        top_k=-1,
        min_p=0.1,
        repetition_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        stop=["a", "b"],
        seed=7,
        logprobs=True,
        top_logprobs=3,
        logit_bias={"5": -100, "6": 2.5},
        grammar={"type": "regex", "value": "a+"},
        dry_multiplier=0.8,
        dry_allowed_length=3,
        dry_sequence_breakers=["."],
        reasoning_effort="low",
        chat_template_kwargs={"a": 1},
        ignore_eos=True,
        truncate_sequence=True,
    )
    assert found == Sampling(
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        top_k=0,
        min_p=0.1,
        repetition_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        stop=("a", "b"),
        seed=7,
        logprobs=3,
        logit_bias=((5, -100.0), (6, 2.5)),
        grammar=Grammar("regex", "a+"),
        dry=Dry(0.8, allowed_length=3, breakers=(".",)),
        thinking=True,
        reasoning_effort="low",
        template_kwargs={"a": 1},
        ignore_eos=True,
        truncate=True,
    )
    assert sampling() == Sampling()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, Grammar("json_schema", '{"type": "object"}')),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string"}}}},
            Grammar("json_schema", '{"type": "string"}'),
        ),
        ({"grammar": {"type": "lark", "value": 'start: "a"'}}, Grammar("lark", 'start: "a"')),
        ({"grammar": {"type": "json_schema", "value": {"a": 1}}}, Grammar("json_schema", '{"a": 1}')),
    ],
)
def test_forms_of_the_answer(fields: dict[str, Any], expected: Grammar | None) -> None:
    assert sampling(**fields).grammar == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 0},
        {"max_tokens": 1, "max_completion_tokens": 2},
        {"stop": ["a"] * 40},
        {"stop": [""]},
        {"top_logprobs": 2},
        {"logprobs": True, "top_logprobs": 21},
        {"logit_bias": {"word": 1}},
        {"logit_bias": {"5": 200}},
        {"reasoning_effort": "very"},
        {"reasoning_effort": "off", "enable_thinking": True},
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_object"}, "grammar": {"type": "regex", "value": "a"}},
        {"grammar": {"type": "ebnf", "value": "a"}},
        {"grammar": {"type": "regex", "value": {}}},
        {"dry_base": 2.0},
        {"dry_multiplier": -1.0},
    ],
    ids=str,
)
def test_fields_that_make_no_sense_are_named(fields: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        sampling(**fields)
    assert caught.value.param is not None
    assert caught.value.param.split(".")[0] in fields | {"max_tokens": 0}


def test_tools_and_their_choice() -> None:
    offered = {
        "type": "function",
        "function": {"name": "f", "description": "", "parameters": {"type": "object"}},
    }
    assert tools([FUNCTION]) == Tools((offered,))
    assert tools([FUNCTION], "none") == Tools((offered,), "none")
    assert tools([FUNCTION], "required", False) == Tools((offered,), "required", parallel=False)
    named = {"type": "function", "function": {"name": "f"}}
    assert tools([FUNCTION], named) == Tools((offered,), "required", "f", parallel=False)
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    other = {"type": "function", "function": {"name": "g"}}
    assert tools([other, FUNCTION, FUNCTION], allowed) == Tools((offered,), "required")
    assert tools(None) is None
    assert tools([], "auto") is None


@pytest.mark.parametrize(
    ("definitions", "choice", "param"),
    [
        ([], "required", "tool_choice"),
        ([FUNCTION], "sometimes", "tool_choice"),
        ([FUNCTION], {"type": "function", "function": {"name": "g"}}, "tool_choice"),
        ([FUNCTION, {"type": "function", "function": {"name": "f", "description": "g"}}], None, "tools"),
        ([FUNCTION], {"type": "web_search"}, "tool_choice"),
        (
            [FUNCTION],
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]},
            "tool_choice",
        ),
        ([{"type": "web_search"}], None, "tools[0].type"),
        ([{"type": "function"}], None, "tools[0].function"),
        ([{"type": "function", "function": {"name": "a b"}}], None, "tools[0].function.name"),
    ],
)
def test_tools_that_make_no_sense_are_named(definitions: Any, choice: Any, param: str) -> None:
    with pytest.raises(OptionError) as caught:
        tools(definitions, choice)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('{"zone": "UT', {"zone": "UT"}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": 1, "b', {"a": 1}),
        ("null", {}),
        ("[]", {}),
        ("", {}),
        (None, {}),
        ("zone=UTC", {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ({"a": None}, {"a": None}),
        ("[" * 200_000, {}),
        ('{"a":' * 5000, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_earlier_arguments_are_read_as_far_as_they_go(said: Any, kept: Any) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": said}}
    (turn,) = conversation([{"role": "assistant", "tool_calls": [call]}])
    found = json.loads(turn.tool_calls[0].arguments)
    assert isinstance(found, dict)
    assert kept is None or found == kept


@pytest.mark.parametrize(
    "turn",
    [
        {"content": "yes", "reasoning": "hm"},
        {"content": "yes", "reasoning_content": "hm"},
        {"content": "yes", "reasoning": "hm", "reasoning_content": "hm"},
        {"content": "yes", "reasoning": None, "reasoning_content": "hm", "refusal": None},
        {"content": "yes", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "format": "x"}]},
        {"content": "yes", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "x"}]},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "yes"},
            ]
        },
        {"content": "yes", "reasoning_content": "hm", "provider_specific_fields": {"a": 1}, "audio": {"id": "x"}},
    ],
    ids=str,
)
def test_an_earlier_thought_has_many_names(turn: dict[str, Any]) -> None:
    assert conversation([{"role": "assistant", **turn}]) == (Message("assistant", (Text("yes"),), reasoning="hm"),)


def test_the_older_call_of_one_function_is_a_call() -> None:
    (turn,) = conversation([{"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}])
    assert turn.tool_calls == (ToolCall("", "f", "{}"),)


def test_empty_fields_are_dropped_but_where_they_mean_something() -> None:
    body = {
        "stop": [],
        "tools": [{"function": {"name": "f", "strict": None, "parameters": {"properties": {}, "enum": [None]}}}],
        "messages": [],
        "content": [],
        "response_format": {"json_schema": {"schema": {}}},
        "chat_template_kwargs": {"a": None},
        "block": {"type": "tool_use", "input": {"a": None, "b": []}},
        "nested": {"a": {"b": None}},
        "dry_sequence_breakers": [],
        "text": "",
        "zero": 0,
        "off": False,
    }
    assert without_empty(body, ["messages"]) == {
        "tools": [{"function": {"name": "f", "parameters": {"properties": {}, "enum": [None]}}}],
        "messages": [],
        "content": [],
        "response_format": {"json_schema": {"schema": {}}},
        "chat_template_kwargs": {"a": None},
        "block": {"type": "tool_use", "input": {"a": None, "b": []}},
        "nested": {"a": {}},
        "dry_sequence_breakers": [],
        "text": "",
        "zero": 0,
        "off": False,
    }


def test_files_become_texts_and_media() -> None:
    text = base64.b64encode(b"a,b\n").decode()
    content = [
        {"type": "file", "file": {"filename": "x.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"filename": "x.csv", "file_data": text}},
        {"type": "input_file", "filename": "x.json", "file_data": f"data:application/json;base64,{text}"},
        {"type": "input_file", "file_url": "https://h/x.pdf"},
        {"type": "input_file", "filename": "x.mp3", "file_data": "AAAA"},
        {"type": "input_file", "file_data": "JVBERg=="},
        {"type": "image_url", "image_url": {"url": "x.pdf", "pages": "2-3", "dpi": 100, "page_text": True}},
    ]
    (message,) = conversation([{"role": "user", "content": content}])
    place = "messages[0].content[{}]".format
    assert message.parts == (
        MediaRef("image", "data:application/pdf;base64,JVBERg==", place=place(0) + ".file"),
        TextFile.fenced("x.csv", "a,b\n"),
        TextFile.fenced("x.json", "a,b\n"),
        MediaRef("image", "https://h/x.pdf", place=place(3)),
        MediaRef("audio", "data:audio/mpeg;base64,AAAA", place=place(4)),
        MediaRef("image", "data:application/pdf;base64,JVBERg==", place=place(5)),
        MediaRef("image", "x.pdf", options=MediaOptions(pages="2-3", dpi=100, page_text=True), place=place(6)),
    )


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"type": "file", "file": {"file_id": "file-1"}}, r"content\[0\].file.file_id names an upload"),
        ({"type": "input_file", "filename": "x.pdf"}, r"content\[0\] has no content"),
        ({"type": "file"}, r"content\[0\].file must be an object"),
        ({"type": "input_file", "filename": "a.txt", "file_data": "/w=="}, "a.txt is not UTF-8 text"),
        ({"type": "input_file", "file_data": "JVBERg==", "file_url": "https://h/x.pdf"}, "they exclude each other"),
    ],
)
def test_files_without_content(part: dict[str, Any], says: str) -> None:
    with pytest.raises(MistralrsError, match=says):
        conversation([{"role": "user", "content": [part]}])
