"""What a request takes: single values, classes, iterators; what it shows; what it refuses. No model is loaded."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypedDict

import mistralrs
from mistralrs import AnswerCut, ChatCompletionRequest, CompletionRequest, RequestError, Runner, RunnerError, Which
from mistralrs_cli.protocol import conversation
from mistralrs_cli.sdk.from_json import chat_response, completion_response
from mistralrs_cli.sdk.parts import read_part
from mistralrs_cli.sdk.values import layers_of


class Answer(BaseModel):
    """What is seen."""

    colour: Literal["red", "blue"]
    count: int


@dataclasses.dataclass
class Plain:
    colour: str


class Typed(TypedDict):
    colour: str


@pytest.mark.parametrize("name", ["stop", "stop_seqs"])
@pytest.mark.parametrize("given", ["END", ["END"], ("END",), {"END"}, dict.fromkeys(["END"]).keys()])
@pytest.mark.parametrize("kind", [ChatCompletionRequest, CompletionRequest])
def test_one_text_is_one_stop_string(kind: Any, name: str, given: Any) -> None:
    assert kind("x", **{name: given}).sampling.stop == ("END",)


def test_an_iterator_is_read_once() -> None:
    stops: Any = iter(["a", "b"])
    request = ChatCompletionRequest("x", stop=stops, images=(name for name in ["a.png", "b.png"]))
    assert request.sampling.stop == request.sampling.stop == ("a", "b")
    completion = CompletionRequest("x", stop_seqs=iter(["a"]))  # type: ignore[arg-type]
    assert completion.sampling.stop == completion.sampling.stop == ("a",)
    assert len(request.conversation[0]["content"]) == len(request.conversation[0]["content"]) == 3


def test_two_names_of_the_stop_strings() -> None:
    assert ChatCompletionRequest("x", stop="a", stop_seqs=["a"]).sampling.stop == ("a",)
    assert ChatCompletionRequest("x", stop="", stop_seqs=[]).fields["stop"] == [""]
    with pytest.raises(RequestError, match="two names of one thing"):
        _ = ChatCompletionRequest("x", stop="a", stop_seqs=["b"]).sampling
    with pytest.raises(RequestError, match="stop must be text"):
        _ = ChatCompletionRequest("x", stop=[1]).sampling  # type: ignore[list-item]


def test_one_text_is_one_breaker() -> None:
    dry = ChatCompletionRequest("x", dry_multiplier=1.0, dry_sequence_breakers="ab").sampling.dry
    assert dry is not None
    assert dry.breakers == ("ab",)


TOOL = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}
WHOLE = {"type": "function", "function": TOOL}


@pytest.mark.parametrize(
    "given", [TOOL, WHOLE, json.dumps(TOOL), json.dumps(WHOLE), [TOOL], (json.dumps(TOOL),), json.dumps([TOOL])]
)
def test_one_tool_is_one_tool(given: Any) -> None:
    assert ChatCompletionRequest("x", tool_schemas=given).tool_definitions == [WHOLE]


def test_a_model_as_a_tool() -> None:
    tools = ChatCompletionRequest("x", tool_schemas=Answer).tools
    assert tools is not None
    function = tools.definitions[0]["function"]
    assert (function["name"], function["description"]) == ("Answer", "What is seen.")
    assert set(function["parameters"]["properties"]) == {"colour", "count"}


@pytest.mark.parametrize("given", ["not json", "5", 5, [None]])
def test_what_is_no_tool(given: Any) -> None:
    with pytest.raises(RequestError, match="tool_schemas"):
        _ = ChatCompletionRequest("x", tool_schemas=given).tool_definitions


@pytest.mark.parametrize("form", [Answer, Plain, Typed, list[Answer], dict[str, int], bool, TypeAdapter(list[str])])
@pytest.mark.parametrize("field", ["grammar", "response_format"])
def test_a_type_is_a_json_schema(form: Any, field: str) -> None:
    grammar = ChatCompletionRequest("x", **{field: form}).sampling.grammar
    assert grammar is not None
    assert grammar.kind == "json_schema"
    adapter = form if isinstance(form, TypeAdapter) else TypeAdapter(form)
    schema = adapter.json_schema()
    for each in (schema, *schema.get("$defs", {}).values()):
        if "properties" in each:
            each["additionalProperties"] = False
    assert json.loads(grammar.value) == schema


def test_a_dictionary_is_a_json_schema() -> None:
    grammar = ChatCompletionRequest("x", grammar={"type": "boolean"}).sampling.grammar
    assert grammar is not None
    assert (grammar.kind, json.loads(grammar.value)) == ("json_schema", {"type": "boolean"})


@pytest.mark.parametrize("form", [Runner, list[Runner]])
def test_a_type_without_a_schema(form: Any) -> None:
    with pytest.raises(RequestError, match="no JSON schema"):
        _ = ChatCompletionRequest("x", response_format=form).sampling


def asked(given: dict[str, Any]) -> Any:
    request = ChatCompletionRequest("x", **given)
    return request.sampling, request.tools, request.conversation


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"grammar": "x"}, "grammar_type"),
        ({"grammar_type": "regex"}, "belong together"),
        ({"grammar": "x", "grammar_type": "nope"}, "json_schema"),
        ({"grammar": 5, "grammar_type": "regex"}, "grammar is 5"),
        ({"grammar": "(\ud83d)", "grammar_type": "regex"}, "half a character"),
        ({"stop": "\udc00"}, "half a character"),
        ({"response_format": {"type": "\ud800"}}, "half a character"),
        ({"top_logprobs": 3}, "logprobs=True"),
        ({"tool_choice": "required"}, "tool_schemas"),
        ({"max_tokens": "5"}, "max_tokens must be a whole number, not '5'"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number"),
        ({"top_k": float("inf")}, "top_k must be a whole number"),
        ({"temperature": True}, "temperature must be a number"),
        ({"temperature": [1]}, "temperature must be a number"),
        ({"logit_bias": {1: "x"}}, "logit_bias must be a number"),
        ({"response_format": "json"}, "response_format must be a dictionary, not 'json'"),
        ({"chat_template_kwargs": 5}, "chat_template_kwargs must be a dictionary"),
        ({"dry_multiplier": 1, "dry_sequence_breakers": 5}, "dry_sequence_breakers must be text"),
        ({"images": [None]}, "images holds None"),
    ],
)
def test_wrong_fields_are_named_as_they_are_here(given: dict[str, Any], says: str) -> None:
    from mistralrs_cli.sdk.problems import translated

    with pytest.raises(RequestError) as caught, translated():
        asked(given)
    assert says in str(caught.value)
    assert "grammar.value" not in str(caught.value)


def test_numbers_of_numpy_are_numbers() -> None:
    fields = ChatCompletionRequest("x", max_tokens=np.int64(5), temperature=np.float32(0.5), seed=7.0).fields  # type: ignore[arg-type]
    assert json.dumps(fields) == '{"max_tokens": 5, "temperature": 0.5, "seed": 7}'


def texts(messages: Any) -> list[Any]:
    request = ChatCompletionRequest(messages)
    return [(turn.role, turn.text, len(turn.media)) for turn in conversation(request.conversation, own=read_part)]


RESPONSE = {
    "id": "chatcmpl-1",
    "created": 1,
    "model": "m",
    "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"a": 1}'}}],
    "usage": dict.fromkeys(list(mistralrs.Usage.__dataclass_fields__)[:9], 1),
}


def response(content: str | None = '{"a": 1}', reason: str = "stop") -> mistralrs.ChatCompletionResponse:
    said = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": content}}
    return chat_response({**RESPONSE, "choices": [said]})


def test_messages_in_every_form(tmp_path: Path) -> None:
    turn = {"role": "user", "content": "hi"}
    assert texts("hi") == texts(turn) == texts([turn]) == texts((turn,)) == texts(iter([turn])) == [("user", "hi", 0)]
    part = {"type": "text", "text": "hi"}
    for content in (part, [part], (part,), ("hi",)):
        assert texts({"role": "user", "content": content}) == [("user", "hi", 0)]
    assert texts({"role": "user", "content": tmp_path / "a.png"} | {"content": b"\x89PNG\r\n\x1a\n"})[0][2] == 1
    assert texts({"role": "user", "content": ([0.1, 0.2], 16000)})[0][2] == 1
    answer = response().choices[0].message
    assert texts([turn, answer, turn])[1] == ("assistant", '{"a": 1}', 0)


def test_a_request_shows_what_it_was_given() -> None:
    picture = io.BytesIO(b"x" * 10**6)
    shown = repr(ChatCompletionRequest("Hello", max_tokens=4, images=[picture], stop="x"))
    assert shown.startswith("ChatCompletionRequest('Hello', max_tokens=4, images=[<_io.BytesIO object")
    assert repr(ChatCompletionRequest("Hello", images=b"x" * 10**6)).__len__() < 200
    assert repr(CompletionRequest("A", stop_seqs=["x"])) == "CompletionRequest('A', stop_seqs=['x'])"


def test_a_response_can_be_written_down() -> None:
    found = response()
    dumped = found.model_dump()
    assert dumped["choices"][0]["message"]["content"] == '{"a": 1}'
    assert dumped["choices"][0]["message"]["tool_calls"] is None
    assert "tool_calls" not in found.model_dump(exclude_none=True)["choices"][0]["message"]
    assert json.loads(found.model_dump_json()) == dumped
    assert "\n  " in found.model_dump_json(indent=2)
    assert chat_response(dumped) == found


def test_the_text_and_the_json_of_a_response() -> None:
    assert response().text == '{"a": 1}'
    assert response(None).text == ""
    assert response().parse() == {"a": 1}
    assert response().parse(dict[str, int]) == {"a": 1}
    assert response('{"colour": "red", "count": 2}').parse(Answer) == Answer(colour="red", count=2)
    assert completion_response(
        {**RESPONSE, "choices": [{"index": 0, "finish_reason": "stop", "text": "said"}]}
    ).text == "said"  # fmt: skip


@pytest.mark.parametrize("reason", ["length", "canceled"])
def test_an_answer_that_was_cut_is_no_result(reason: str) -> None:
    cut = response('{"colour": "re', reason)
    assert cut.choices[0].cut
    assert not response().choices[0].cut
    with pytest.raises(AnswerCut, match="max_tokens"):
        cut.parse(Answer)
    with pytest.raises(RuntimeError):
        cut.parse()


@pytest.mark.parametrize(("text", "form", "says"), [("hello", None, "not JSON"), ('{"colour": 1}', Answer, "colour")])
def test_an_answer_that_is_not_of_the_form(text: str, form: Any, says: str) -> None:
    with pytest.raises(RunnerError, match=says):
        response(text).parse(form)


NAMES = "GGUF GGML XLora Lora XLoraGGUF LoraGGUF XLoraGGML LoraGGML Embedding Speech DiffusionPlain AnyMoe Foo"


@pytest.mark.parametrize("name", NAMES.split())
def test_another_kind_of_model_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^Which\.{name}: .+\.\n.+\.$"):
        getattr(Which, name)
    assert not hasattr(Which, name)


def test_a_close_name_is_suggested() -> None:
    with pytest.raises(ValueError, match=r"Use Which\.MultimodalPlain\."):
        _ = Which.MultiModalPlain  # type: ignore[attr-defined]


@pytest.mark.parametrize("which", [None, 5, Which.Plain, Which, Which.Plain(None), Which.Plain(""), b"demo", {}])  # type: ignore[arg-type]
def test_what_is_no_model(which: Any) -> None:
    with pytest.raises(RequestError, match=r"(?s)hub id.*folder"):
        Runner(which)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dtype": "bf17"}, "ModelDType.BF16"),
        ({"dtype": 16}, "dtype is 16"),
        ({"organization": "x"}, "IsqOrganization"),
    ],
)
def test_names_that_are_none(given: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        Runner(Which.MultimodalPlain("demo", **given))


def test_names_may_be_text() -> None:
    given = Which.MultimodalPlain(Path("demo"), dtype="BF16", organization="MoQE", topology=Path("t.yaml")).given
    assert (given["model_id"], given["dtype"], given["isq_organization"], given["topology"]) == (
        "demo", "bf16", "moqe", "t.yaml"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_seqs": 0}, "max_seqs must be at least 1, not 0"),
        ({"max_seqs": "a"}, "max_seqs must be a whole number"),
        ({"prefix_cache_n": -1}, "prefix_cache_n must be at least 0"),
        ({"kv_cache_type": "q4"}, "kv_cache_type must be one of auto, q8, not 'q4'"),
        ({"threads": "x"}, "threads must be a whole number"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"num_device_layers": [5]}, "num_device_layers must be text"),
        ({"chat_template": 5}, "chat_template must be a path"),
    ],
)
def test_parameters_that_are_none(given: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        Runner("demo", **given)


def test_layers_in_every_form() -> None:
    assert [layers_of(given) for given in (None, [], 5, "0:5", ["0:5", "1:3"])] == [None, None, "5", "0:5", "0:5;1:3"]
