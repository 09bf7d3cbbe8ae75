"""Forced calls in Gemma 4's own form: whatever is drawn fits the function's schema, and whatever fits can be drawn."""

import json
from typing import Any

import llguidance
import pytest
import torch

from mistralrs_cli.constraint import compiled
from mistralrs_cli.engine.sampling.grammar import GrammarCompiler
from mistralrs_cli.engine.tools.grammar import forced_call_grammar
from mistralrs_cli.engine.tools.syntax import GEMMA, QUOTE, read_gemma
from mistralrs_cli.errors import GrammarError
from mistralrs_cli.options import Tools
from tests.checkpoints.tokens import tokenizer

pytestmark = pytest.mark.slow

Schema = dict[str, Any]
NODE: Schema = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value"],
    "additionalProperties": False,
}
MIXED = ["a<b", "", 7, None, [1, "z"]]


def tools(schema: Schema, *, strict: bool = False) -> Tools:
    function = {"type": "function", "function": {"name": "do", "parameters": schema}}
    return Tools((function,), "required", strict=frozenset({"do"} if strict else ()))


def written(value: Any) -> str:
    """A value as Gemma 4's chat template writes it."""
    match value:
        case str():
            return f"{QUOTE}{value}{QUOTE}"
        case list():
            return f"[{','.join(map(written, value))}]"
        case dict():
            pairs = sorted(value.items(), key=lambda pair: pair[0].lower())
            return "{" + ",".join(f"{key}:{written(one)}" for key, one in pairs) + "}"
        case _:
            return json.dumps(value)


def takes(schema: Schema, arguments: str) -> bool:
    grammar = compiled(forced_call_grammar(GEMMA, tools(schema), {}, ""))
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar, log_level=0)
    assert matcher.get_error() == ""
    text = f"<|tool_call>call:do{arguments}<tool_call|>".encode()
    return matcher.try_consume_tokens(list(text)) == len(text) and matcher.is_accepting()


def only(**properties: Schema | bool) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


SCHEMAS: list[tuple[Schema, list[Any], list[Any]]] = [
    ({"type": "object", "properties": {}, "additionalProperties": False}, [{}], [{"a": 1}]),
    ({"type": "object"}, [{}, {"a": [1, {"b": None}], "c": "x"}], []),
    (
        {
            "properties": {"b": {"type": "string"}, "A": {"type": "integer"}, "c": {"type": "boolean"}},
            "required": ["b"],
            "additionalProperties": False,
        },
        [{"b": "x"}, {"A": 1, "b": "x"}, {"b": "x", "c": True}, {"A": 1, "b": "", "c": False}],
        [{}, {"A": 1}, {"b": 1}, {"b": "x", "d": 1}],
    ),
    (
        {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
        [{}, {"a": 1}, {"a": 1, "b": "x", "c": "y"}, {"b": "x"}],
        [{"a": "x"}, {"b": 1}],
    ),
    (only(x={"enum": MIXED}), [{"x": one} for one in MIXED], [{"x": 8}]),
    (only(x={"const": {"k": True}}), [{"x": {"k": True}}], [{"x": {"k": False}}]),
    (only(x={"type": "integer", "minimum": 1, "maximum": 12}), [{"x": 1}, {"x": 12}], [{"x": 0}, {"x": 13}, {"x": .5}]),
    (only(x={"type": ["number", "null"]}), [{"x": 1.5}, {"x": -2}, {"x": None}], [{"x": "1"}, {"x": True}]),
    (
        only(x={"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}),
        [{"x": ["a"]}, {"x": ["a", "b, c", "{d}"]}],
        [{"x": []}, {"x": ["a"] * 4}, {"x": [1]}],
    ),
    (only(x={"type": "array", "maxItems": 0}), [{"x": []}], [{"x": [1]}]),
    (only(x={"items": {"type": "integer"}}), [{"x": []}, {"x": [1, 2]}], [{"x": ["a"]}]),
    (only(x={"type": "string", "maxLength": 3, "minLength": 1}), [{"x": "äöü"}], [{"x": ""}, {"x": "abcd"}]),
    (only(x={"type": "string", "pattern": "^[a-z]+/\\d{2}$"}), [{"x": "ab/12"}], [{"x": "ab/123"}, {"x": "xab/1"}]),
    (only(x={"type": "string", "pattern": "b|c"}), [{"x": "abe"}, {"x": "c"}], [{"x": "ae"}]),
    (only(x={"anyOf": [{"type": "integer"}, {"enum": ["auto"]}]}), [{"x": 3}, {"x": "auto"}], [{"x": "manual"}]),
    (only(x={"allOf": [{"type": "integer"}], "minimum": 3}), [{"x": 3}], [{"x": 2}]),
    ({"properties": {"a": {"type": "integer"}}}, [{}, {"a": 1}], [{"b": 1}, {"a": 1, "b": 2}]),
    (only(x=True), [{"x": {"y": [{}]}}], []),
    (
        {**only(x={"$ref": "#/$defs/node"}), "$defs": {"node": NODE}},
        [{"x": {"value": 1}}, {"x": {"value": 1, "next": {"value": 2, "next": None}}}],
        [{"x": {"next": None}}, {"x": {"value": 1, "next": {}}}],
    ),
    (only(x={"type": "string", "format": "date", "description": "a day"}), [{"x": "1 < 2 {},[]:"}], [{"x": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "right", "wrong"), SCHEMAS)
def test_what_fits_can_be_said_and_nothing_else(schema: Schema, right: list[Any], wrong: list[Any]) -> None:
    for arguments in right:
        assert read_gemma(f"call:do{written(arguments)}", tools(schema))[0][1] == arguments
        assert takes(schema, written(arguments)), arguments
    for arguments in wrong:
        assert not takes(schema, written(arguments)), arguments


def test_keys_that_are_no_names_stand_in_quotes() -> None:
    schema = only(**{"two words": {"type": "integer"}})
    arguments = f"{{{QUOTE}two words{QUOTE}:3}}"
    assert takes(schema, arguments)
    assert read_gemma(f"call:do{arguments}", tools(schema))[0][1] == {"two words": 3}


def test_a_key_with_a_schema_is_no_key_of_another() -> None:
    schema: Schema = {"properties": {"a": {"type": "integer"}}, "additionalProperties": True}
    assert takes(schema, "{b:true}")
    assert takes(schema, "{ab:true}")
    assert not takes(schema, "{a:true}")


HARD: list[tuple[Schema, str]] = [
    (only(x={"type": "array", "uniqueItems": True}), "uniqueItems"),
    (only(x={"not": {"type": "string"}}), "not"),
    (only(x={"$ref": "https://example.com/schema"}), "ref"),
    (only(x={"type": "string", "pattern": "^a|b$"}), "pattern"),
    (only(x={"allOf": [{"type": "string"}, {"maxLength": 3}]}), "allOf"),
]


@pytest.mark.parametrize(("schema", "named"), HARD)
def test_what_it_cannot_be_held_to_is_named_where_it_must_be(schema: Schema, named: str) -> None:
    with pytest.raises(GrammarError, match=named):
        forced_call_grammar(GEMMA, tools(schema, strict=True), {}, "")


@pytest.mark.parametrize("schema", [schema for schema, _ in HARD])
def test_what_it_cannot_be_held_to_is_left_out(schema: Schema) -> None:
    assert takes(schema, written({"x": "a"})) or takes(schema, written({"x": ["a", "a"]}))
    assert not takes(schema, written({"y": "a"}))


@pytest.mark.parametrize(
    "schema",
    [
        only(x={"type": "thing"}),
        only(x={"$ref": "#/$defs/none"}),
        only(x={"type": "array", "minItems": "many"}),
        {"properties": 7},
    ],
)
def test_what_is_no_schema_is_said_to_be_none(schema: Schema) -> None:
    with pytest.raises(GrammarError, match=r"tools\[0\]\.function\.parameters"):
        forced_call_grammar(GEMMA, tools(schema), {}, "")


def test_whatever_is_drawn_is_a_call_that_fits() -> None:
    """With the marks as special tokens, as the checkpoints have them, and all else at random."""
    marks = (GEMMA.opening, GEMMA.closing or "", QUOTE)
    words = tokenizer(marks)
    special = dict(zip(marks, words.convert_tokens_to_ids(list(marks)), strict=True))
    end = words.eos_token_id
    schema: Schema = {
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 31}, "maxItems": 4},
            "unit": {"enum": ["C", "F"]},
            "place": only(lat={"type": "number"}, lon={"type": "number"}),
        },
        "required": ["city", "place"],
        "additionalProperties": False,
    }
    compiler = GrammarCompiler(words, len(words), frozenset({end}))
    ends = torch.tensor([end, *special.values(), *words.convert_tokens_to_ids(list("{}[],"))])
    seen: set[str] = set()
    for seed in range(25):
        draw = torch.Generator().manual_seed(seed)
        processor = compiler.processor(forced_call_grammar(GEMMA, tools(schema), special, ""))
        ids = [words.bos_token_id]
        while ids[-1] != end:
            scores = torch.randn(len(words), generator=draw)
            scores[ends] += 2.0
            processor.apply(scores)
            ids.append(int(scores.argmax()))
            processor.accept(ids[-1])
            assert len(ids) < 4000
        assert ids[1] == special[GEMMA.opening]
        assert ids[-2] == special[GEMMA.closing or ""]
        name, arguments, _ = read_gemma(words.decode(ids[2:-2]), tools(schema))[0]
        assert name == "do"
        assert {"city", "place"} <= arguments.keys() <= {"city", "days", "place", "unit"}
        assert isinstance(arguments["city"], str)
        assert all(isinstance(arguments["place"][key], (int, float)) for key in ("lat", "lon"))
        assert all(day in range(1, 32) for day in arguments.get("days", []))
        assert arguments.get("unit", "C") in ("C", "F")
        seen |= arguments.keys()
    assert seen == {"city", "days", "place", "unit"}
