"""What an answer is held to is refused early where it cannot be kept to, and never ends the process."""

import json
from typing import Any

import llguidance
import pytest

from mistralrs_cli.constraint import ORDINARY, check, compiled, left_out
from mistralrs_cli.constraint.patterns import ascii_lark, without_assertions
from mistralrs_cli.errors import GrammarError
from mistralrs_cli.options import Grammar, GrammarKind


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("regex", "a(b", "Invalid regex: unclosed group"),
        ("regex", "[a", "unclosed character class"),
        ("json_schema", "{", "not JSON"),
        ("json_schema", '{"type": "nosuch"}', "Invalid type: nosuch"),
        ("json_schema", '{"type": "string", "pattern": "("}', "$.pattern is no regular expression: ("),
        ("lark", "start: foo", 'unknown name: "foo"'),
    ],
)
def test_what_cannot_be_kept_to_is_refused(kind: GrammarKind, text: str, said: str) -> None:
    with pytest.raises(GrammarError) as caught:
        check(Grammar(kind, text))
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("regex", "(yes|no)"),
        ("json_schema", '{"type": "object", "properties": {"a": {"type": "integer"}}}'),
        ("lark", 'start: "a" | "b"'),
        ("lark", "start: r0\n" + "".join(f"r{rule}: r{rule + 1}\n" for rule in range(60_000)) + 'r60000: "b"'),
    ],
)
def test_what_can_be_kept_to_and_what_is_too_long_to_say_passes(kind: GrammarKind, text: str) -> None:
    check(Grammar(kind, text))


def test_deep_nesting_is_an_error_at_most() -> None:
    depth = ORDINARY // 2 - 10
    with pytest.raises(GrammarError):
        check(Grammar("lark", "start: " + "(" * depth + '"a"' + ")" * (depth - 5)))


TEXT = {"type": "string"}
BYTES = llguidance.LLTokenizer("byte")


def schema(value: Any, *, strict: bool = False) -> Grammar:
    return Grammar("json_schema", json.dumps(value), strict=strict)


def takes(grammar: Grammar, text: str) -> bool:
    matcher = llguidance.LLMatcher(BYTES, compiled(grammar), log_level=0)
    assert matcher.get_error() == ""
    given = list(text.encode())
    return matcher.try_consume_tokens(given) == len(given) and matcher.is_accepting()


BASE = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
TREE = {"type": "object", "properties": {"v": TEXT, "c": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}


@pytest.mark.parametrize(
    ("value", "right", "wrong"),
    [
        ({"properties": {"a": TEXT}}, ['{"a": "x"}', "{}"], ['{"a": "x", "b": 1}', '{"b": 1}']),
        ({"type": "object", "properties": {}}, ["{}"], ['{"a": 1}']),
        ({"type": "object"}, ["{}", '{"a": 1}'], []),
        ({"type": ["object", "null"], "properties": {"a": TEXT}}, ["null", '{"a": ""}'], ['{"b": ""}']),
        ({"properties": {"a": TEXT}, "additionalProperties": True}, ['{"a": "x", "b": 1}'], []),
        ({"properties": {"a": TEXT}, "additionalProperties": {"type": "integer"}}, ['{"b": 1}'], ['{"b": ""}']),
        ({"properties": {"a": TEXT}, "required": ["a", "z"]}, ['{"a": "x", "z": [1]}'], ['{"a": "x"}']),
        ({"properties": {"a": {"properties": {"b": TEXT}}}}, ['{"a": {"b": ""}}'], ['{"a": {"c": ""}}']),
        ({"type": "array", "items": {"properties": {"b": TEXT}}}, ['[{"b": ""}]'], ['[{"c": ""}]']),
        (
            {"allOf": [BASE, {"properties": {"n": TEXT}, "required": ["n"]}]},
            ['{"id": 1, "n": "x"}'],
            ['{"id": 1}', '{"id": 1, "n": "x", "z": 1}'],
        ),
        (
            {
                "$defs": {"B": BASE, "D": {"allOf": [{"$ref": "#/$defs/B"}], "properties": {"n": TEXT}}},
                "$ref": "#/$defs/D",
            },
            ['{"id": 1, "n": "x"}', '{"id": 1}'],
            ['{"id": 1, "z": 1}', '{"n": "x"}'],
        ),
        (
            {
                "properties": {"k": TEXT},
                "required": ["k"],
                "anyOf": [
                    {"properties": {"a": TEXT}, "required": ["a"]},
                    {"properties": {"b": TEXT}, "required": ["b"]},
                ],
            },
            ['{"k": "", "a": ""}', '{"k": "", "b": ""}'],
            ['{"k": ""}', '{"k": "", "a": "", "b": ""}', '{"k": "", "a": "", "c": ""}'],
        ),
        ({"$defs": {"T": TREE}, "$ref": "#/$defs/T"}, ['{"v": "", "c": [{"v": ""}]}'], ['{"v": "", "d": 1}']),
        (
            {"type": "object", "allOf": [{"properties": {"a": TEXT}}], "unevaluatedProperties": False},
            ['{"a": ""}', "{}"],
            ['{"b": ""}'],
        ),
    ],
)
def test_objects_have_the_properties_that_their_schema_names(value: Any, right: list[str], wrong: list[str]) -> None:
    assert [text for text in right if not takes(schema(value), text)] == []
    assert [text for text in wrong if takes(schema(value), text)] == []
    assert left_out(schema(value)) == ()


def test_json_is_spaced_as_models_write_it() -> None:
    value = {"properties": {"a": {"type": "array", "items": {"type": "integer"}}}}
    assert takes(schema(value), '{"a": [1, 2]}')
    assert not takes(schema(value), '{"a":[1,2]}')
    assert not takes(schema(value), '{"a":  [1, 2]}')


@pytest.mark.parametrize(
    ("value", "named", "text"),
    [
        ({"type": "array", "items": TEXT, "uniqueItems": True}, "uniqueItems at $", '["a", "a"]'),
        (
            {"properties": {"d": {"type": "string", "pattern": r"^(?!0)\d+$"}}},
            "pattern at $.properties.d",
            '{"d": "12"}',
        ),
        ({"type": "string", "pattern": r"(a)\1"}, "pattern at $", '"anything"'),
        ({"type": "string", "pattern": r"\bfoo\b"}, "pattern at $", '"a foo b"'),
        ({"type": "object", "propertyNames": {"pattern": "^a"}}, "propertyNames at $", '{"b": 1}'),
        ({"not": {"type": "string"}}, "not at $", '"a"'),
        ({"properties": {"a": TEXT}, "if": {"required": ["a"]}, "then": {"required": ["b"]}}, "if at $", '{"a": ""}'),
        ({"type": "array", "contains": {"const": 1}}, "contains at $", "[2]"),
        (
            {"properties": {"a": TEXT, "b": TEXT}, "dependentRequired": {"a": ["b"]}},
            "dependentRequired at $",
            '{"a": ""}',
        ),
        ({"$ref": "https://example.com/other.json"}, "$ref at $", "7"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf at $", "7"),
        ({"properties": {"a": TEXT, "b": TEXT}, "maxProperties": 1}, "maxProperties at $", '{"a": ""}'),
        (
            {"$defs": {"n": {"anyOf": [TEXT, {"items": {"$ref": "#/$defs/n", "maxLength": 1}}]}}, "$ref": "#/$defs/n"},
            "maxLength at $.$defs.n.anyOf[1].items",
            '[["abc"]]',
        ),
        ({"type": "number", "multipleOf": 0.123456789012}, "multipleOf at $", "7"),
        ({"type": "integer", "minimum": 10**30}, "minimum at $", "7"),
    ],
)
def test_what_no_grammar_holds_is_left_out_and_named(value: Any, named: str, text: str) -> None:
    check(schema(value))
    assert takes(schema(value), text)
    assert named in [str(part) for part in left_out(schema(value))]
    with pytest.raises(GrammarError, match="cannot be enforced"):
        check(schema(value, strict=True))


@pytest.mark.parametrize(
    "value",
    [
        {"type": "string", "format": "path"},  # to the standard a format is a remark
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"oneOf": [{"properties": {"k": {"const": kind}}, "required": ["k"]} for kind in "ab"]},
        {"type": "integer", "maximum": 10**30},
        {"type": "object", "properties": {"a": TEXT}, "maxProperties": 3, "minProperties": 0},
    ],
)
def test_what_can_be_held_to_is_taken_strictly(value: Any) -> None:
    check(schema(value, strict=True))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"enum": []}, "allows no value"),
        ({"type": "integer", "minimum": 3, "maximum": 1}, "allows no value"),
        (False, "allows no value"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "$.properties.a.$ref points to nothing: #/$defs/b"),
        ({"properties": {"a": {"pattern": "["}}}, "$.properties.a.pattern is no regular expression"),
    ],
)
def test_what_allows_no_answer_is_refused(value: Any, said: str) -> None:
    with pytest.raises(GrammarError) as caught:
        check(schema(value))
    assert said in caught.value.message


def test_schemas_that_refer_to_each_other_in_rings_come_to_an_end() -> None:
    ring = {
        name: {"allOf": [{"$ref": f"#/$defs/{other}"}], "properties": {name: {"$ref": f"#/$defs/{other}"}}}
        for name, other in [("A", "B"), ("B", "C"), ("C", "A")]
    }
    left_out(schema({"$defs": ring, "$ref": "#/$defs/A"}))
    deep: Any = TEXT
    for _ in range(300):
        deep = {"properties": {"a": deep}}
    left_out(schema(deep))


@pytest.mark.parametrize(
    ("pattern", "wider"),
    [
        (r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$", r"^[+-]?0*\d*\.?\d*$"),
        (r"^(?=.*[A-Z])(?=.*[)(])[^]a]+$", "^[^]a]+$"),
        (r"\bfoo\b", "foo"),
        (r"(a)\1", None),
        (r"\\1", r"\\1"),
    ],
)
def test_a_pattern_without_what_looks_around(pattern: str, wider: str | None) -> None:
    assert without_assertions(pattern) == wider


def test_digits_are_ascii_in_every_expression_of_a_grammar() -> None:
    lark = 'start: "\\d/" /\\d+\\/[x/]/ # /no\\d/'
    assert ascii_lark(lark).count("[0-9]") == 1
    assert takes(Grammar("lark", "start: /\\d+\\/x/"), "12/x")
    assert not takes(Grammar("lark", "start: /\\d+\\/x/"), "\u0661\u0662/x")
    assert not takes(Grammar("regex", r"\d\w"), "\u0661a")
