"""What an answer is held to is refused early where it cannot be kept to, and never ends the process."""

import pytest

from mistralrs_cli.constraint import ORDINARY, check
from mistralrs_cli.errors import GrammarError
from mistralrs_cli.options import Grammar, GrammarKind


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("regex", "a(b", "Invalid regex: unclosed group"),
        ("regex", "[a", "unclosed character class"),
        ("json_schema", "{", "not JSON"),
        ("json_schema", '{"type": "nosuch"}', "Invalid type: nosuch"),
        ("json_schema", '{"type": "string", "pattern": "("}', "unclosed group"),
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
