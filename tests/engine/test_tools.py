"""Calls of functions: how models write them, cut anywhere, and how they are made to write one."""

import json
from typing import Any

import llguidance
import pytest

from mistralrs_cli.constraint import compiled
from mistralrs_cli.engine.tools import syntax as tool_syntax
from mistralrs_cli.engine.tools.grammar import call_or_form_grammar, forced_call_grammar
from mistralrs_cli.engine.tools.parser import ToolParser
from mistralrs_cli.engine.tools.prompt import as_system_prompt
from mistralrs_cli.engine.tools.syntax import GEMMA, HERMES, LLAMA, MISTRAL, PHI, ToolSyntax, syntax_of
from mistralrs_cli.errors import GrammarError, OptionError
from mistralrs_cli.events import TextDelta
from mistralrs_cli.messages import Message, Text, ToolCall
from mistralrs_cli.options import Grammar, Tools

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOLS = Tools(
    tuple(
        {"type": "function", "function": {"name": name, "description": "", "parameters": SCHEMA}}
        for name in ("weather", "time")
    )
)
ANY = {"city": "Bonn", "days": 2}
OBJECT = '{"name": "weather", "arguments": {"city": "Bonn", "days": 2}}'
LISTED = '{"name": "time", "arguments": {}}'

ANSWERS: list[tuple[ToolSyntax, str, str, list[tuple[str, Any]]]] = [
    (HERMES, f"Sure.\n<tool_call>\n{OBJECT}\n</tool_call>", "Sure.", [("weather", ANY)]),
    (
        HERMES,
        f"<tool_call>{OBJECT}</tool_call>\n<tool_call>{LISTED}</tool_call>",
        "",
        [("weather", ANY), ("time", {})],
    ),
    (
        HERMES,
        "Ok<tool_call>\n<function=weather>\n<parameter=city>\n7\n</parameter>\n<parameter=days>\n2\n</parameter>\n"
        "</function>\n</tool_call>",
        "Ok",
        [("weather", {"city": "7", "days": 2})],
    ),
    (MISTRAL, f"[TOOL_CALLS][{OBJECT}, {LISTED}]", "", [("weather", ANY), ("time", {})]),
    (
        MISTRAL,
        'Sure[TOOL_CALLS]weather[CALL_ID]abcdef123[ARGS]{"city": "Bonn", "days": 2}[TOOL_CALLS]time[ARGS]{}',
        "Sure",
        [("weather", ANY), ("time", {})],
    ),
    (
        GEMMA,
        'Hm.<|tool_call>call:weather{city:<|"|>Bonn<|"|>,days:2}<tool_call|>',
        "Hm.",
        [("weather", ANY)],
    ),
    (
        GEMMA,
        '<|tool_call>call:time{a:[1,{b:<|"|>x, y:{"z"}<|"|>}],c:true}<tool_call|>',
        "",
        [("time", {"a": [1, {"b": 'x, y:{"z"}'}], "c": True})],
    ),
    (PHI, f"<|tool_call|>[{OBJECT}]<|/tool_call|>", "", [("weather", ANY)]),
    (LLAMA, '{"name": "weather", "parameters": {"city": "Bonn", "days": 2}}', "", [("weather", ANY)]),
    (LLAMA, '<|python_tag|>{"name": "time", "parameters": {}}; {"name": "weather", "parameters": {}}', "",
     [("time", {}), ("weather", {})]),
]  # fmt: skip

NO_CALLS: list[tuple[ToolSyntax, str]] = [
    (HERMES, "Use a <tool_box> or a < sign.  \n\n And more <tool_cal"),
    (HERMES, f"cut short <tool_call>{OBJECT[:-10]}"),
    (HERMES, "<tool_call>no JSON</tool_call> after"),
    (MISTRAL, 'see [TOOL_CALLS]weather[ARGS]{"city": "Bo'),
    (GEMMA, '<|tool_call>call:weather{city:<|"|>Bonn}<tool_call|>'),
    (PHI, "<|tool_call|>[1, 2]<|/tool_call|>"),
    (LLAMA, '{"answer": 42}'),
    (LLAMA, '{"name": "Bonn", "parameters": {}}'),
    (LLAMA, "words {not JSON"),
    (HERMES, "<tool_call>" + "[" * 5000),
]


def run(syntax: ToolSyntax, text: str, size: int, tools: Tools = TOOLS) -> tuple[str, list[ToolCall]]:
    parser = ToolParser(syntax, tools)
    events = [event for at in range(0, len(text), size) for event in parser.push(text[at : at + size])]
    events += parser.flush()
    words = "".join(event.text for event in events if isinstance(event, TextDelta))
    return words, [event for event in events if isinstance(event, ToolCall)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("syntax", "text", "words", "calls"), ANSWERS)
def test_calls_are_found_however_the_text_is_cut(
    syntax: ToolSyntax, text: str, words: str, calls: list[tuple[str, Any]], size: int
) -> None:
    said, found = run(syntax, text, size)
    assert said == words
    assert [(call.name, json.loads(call.arguments)) for call in found] == calls
    assert len({call.id for call in found}) == len(found)
    assert all(call.id.isalnum() and len(call.id) == 9 for call in found)


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(("syntax", "text"), NO_CALLS)
def test_what_is_no_call_is_said_whole(syntax: ToolSyntax, text: str, size: int) -> None:
    assert run(syntax, text, size) == (text, [])


CUT: list[tuple[ToolSyntax, str, str, str]] = [
    (HERMES, f"Sure. <tool_call>{OBJECT[:-14]}", "weather", '{"city": "Bonn'),
    (HERMES, '<tool_call>{"name": "weather", "argum', "weather", ""),
    (HERMES, "<tool_call><function=weather>\n<parameter=city>\nBonn\n</parameter>\n<par", "weather", '{"city": "Bonn"'),
    (MISTRAL, 'see [TOOL_CALLS]weather[ARGS]{"city": "Bo', "weather", '{"city": "Bo'),
    (GEMMA, '<|tool_call>call:weather{days:2,city:<|"|>Bo', "weather", '{"days":2,"city":"Bo'),
    (PHI, '<|tool_call|>[{"name": "time", "arguments": {"a', "time", '{"a'),
    (LLAMA, '<|python_tag|>{"name": "time", "parameters": {"a": [1', "time", '{"a": [1'),
]


@pytest.mark.parametrize(("syntax", "text", "name", "arguments"), CUT)
def test_a_call_that_was_cut_has_the_arguments_that_came(
    syntax: ToolSyntax, text: str, name: str, arguments: str
) -> None:
    parser = ToolParser(syntax, TOOLS)
    events = [*parser.push(text), *parser.flush(cut=True)]
    assert [(event.name, event.arguments) for event in events if isinstance(event, ToolCall)] == [(name, arguments)]
    words = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert words == text.partition(syntax.opening)[0].rstrip()


@pytest.mark.parametrize("text", ["<tool_c", '<tool_call>{"na', "<tool_call>"])
def test_a_forced_call_that_was_cut_before_its_name_is_no_answer(text: str) -> None:
    parser = ToolParser(HERMES, Tools(TOOLS.definitions, "required"))
    assert [*parser.push(text), *parser.flush(cut=True)] == []
    parser = ToolParser(HERMES, Tools(TOOLS.definitions, "required", "time"))
    (call,) = [*parser.push(text), *parser.flush(cut=True)]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("time", "")


def test_words_that_were_cut_are_said() -> None:
    parser = ToolParser(HERMES, TOOLS)
    events = [*parser.push("a < b and <tool"), *parser.flush(cut=True)]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "a < b and <tool"


def test_words_are_not_held_back_longer_than_needed() -> None:
    parser = ToolParser(HERMES, TOOLS)
    assert list(parser.push("Hello ")) == [TextDelta("Hello")]
    assert list(parser.push("there <")) == [TextDelta(" there")]
    assert list(parser.push("b>")) == [TextDelta(" <b>")]


def test_one_call_is_all_where_no_more_are_wanted() -> None:
    single = Tools(TOOLS.definitions, parallel=False)
    words, calls = run(HERMES, f"<tool_call>{OBJECT}</tool_call>\n<tool_call>{LISTED}</tool_call> more", 5, single)
    assert (words, [call.name for call in calls]) == ("", ["weather"])


@pytest.mark.parametrize(
    ("template", "syntax"),
    [
        ("{% if tools %}[AVAILABLE_TOOLS]{% endif %} [TOOL_CALLS]", MISTRAL),
        ("{{ tools }}<|tool_call>call:", GEMMA),
        ("{{ tools }}<|tool_call|>", PHI),
        ("{{ tools }}<tool_call>", HERMES),
        ("{{ tools }}<tool_call><function=", HERMES),
        ("{{ tools }}<|python_tag|>", LLAMA),
        ('{{ tools }} Respond in the format {"name": function name, "parameters": …}', LLAMA),
    ],
)
def test_the_template_tells_the_syntax(template: str, syntax: ToolSyntax) -> None:
    assert syntax_of(template) is syntax


@pytest.mark.parametrize("syntax", [HERMES, MISTRAL, GEMMA, PHI, LLAMA], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("template", ["", "[ARGS]"], ids=["plain", "args"])
def test_a_forced_call_is_a_grammar_that_takes_that_call_and_no_words(syntax: ToolSyntax, template: str) -> None:
    grammar = compiled(forced_call_grammar(syntax, TOOLS, {}, template))
    bytes_only = llguidance.LLTokenizer("byte")

    def accepts(text: str) -> bool:
        matcher = llguidance.LLMatcher(bytes_only, grammar)
        assert matcher.get_error() == ""
        fits = all(matcher.consume_token(byte) for byte in text.encode())
        return fits and matcher.is_accepting()

    texts = [
        text
        for known, text, words, calls in ANSWERS
        if known is syntax and not words and len(calls) == 1 and calls[0][1].keys() <= ANY.keys()
    ]
    if syntax is GEMMA:
        texts = ['<|tool_call>call:weather{city:<|"|>Bonn<|"|>,days:2}<tool_call|>']
    if syntax is MISTRAL:
        texts = ['[TOOL_CALLS]weather[ARGS]{"city": "Bonn", "days": 2}' if template else f"[TOOL_CALLS][{OBJECT}]"]
    if syntax is HERMES:
        texts = [f"<tool_call>{OBJECT}</tool_call>", f"<tool_call>\n{OBJECT}\n</tool_call>"]
    assert texts
    assert all(map(accepts, texts)), texts
    assert not accepts("Hello")
    assert not any(accepts(text.replace("weather", "wealth")) for text in texts if "weather" in text)


@pytest.mark.parametrize("syntax", [HERMES, MISTRAL, GEMMA, PHI, LLAMA], ids=lambda syntax: syntax.name)
def test_a_model_may_call_or_else_answers_in_a_form(syntax: ToolSyntax) -> None:
    form = Grammar("json_schema", json.dumps({"type": "object", "properties": {"ok": {"type": "boolean"}}}))
    grammar = compiled(call_or_form_grammar(syntax, TOOLS, {}, "", form))
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar, log_level=0)
    assert matcher.get_error() == ""
    call = "<|tool_call>call:weather{days:2}<tool_call|>" if syntax is GEMMA else None
    texts = [call] if call else [text for known, text, words, calls in ANSWERS if known is syntax and not words]
    if syntax is HERMES:
        texts = [f"<tool_call>{OBJECT}</tool_call>"]
    elif syntax is MISTRAL:
        texts = [f"[TOOL_CALLS][{OBJECT}]"]
    elif syntax is LLAMA:
        texts = ['<|python_tag|>{"name": "time", "parameters": {"days": 2}}']
    for text, fits in [('{"ok": true}', True), ("Hello", False), *((text, True) for text in texts)]:
        matcher.reset()
        given = list(text.encode())
        assert (matcher.try_consume_tokens(given) == len(given) and matcher.is_accepting()) == fits, text


def test_a_grammar_of_its_own_does_not_go_with_tools() -> None:
    with pytest.raises(OptionError, match="exclude each other"):
        call_or_form_grammar(HERMES, TOOLS, {}, "", Grammar("lark", 'start: "a"'))


def test_parts_of_parameters_are_found_where_they_are_defined() -> None:
    parameters = {"type": "object", "properties": {"at": {"$ref": "#/$defs/at"}}, "$defs": {"at": {"enum": ["here"]}}}
    one = Tools(({"type": "function", "function": {"name": "go", "parameters": parameters}},), "required")
    for syntax in (HERMES, MISTRAL, PHI, LLAMA, GEMMA):
        grammar = compiled(forced_call_grammar(syntax, one, {}, ""))
        assert llguidance.LLMatcher.validate_grammar(grammar) == ""


def test_errors_name_the_parameters_and_no_grammar() -> None:
    bad = {"type": "function", "function": {"name": "go", "parameters": {"properties": {"a": {"type": "any"}}}}}
    with pytest.raises(GrammarError, match=r"tools\[2\]\.function\.parameters is not valid: Invalid type: any"):
        forced_call_grammar(HERMES, Tools((*TOOLS.definitions, bad), "required"), {}, "")
    strict = {"type": "function", "function": {"name": "go", "parameters": {"properties": {"a": {"not": {}}}}}}
    with pytest.raises(
        GrammarError, match=r"not at tools\[0\]\.function\.parameters\.properties\.a cannot be enforced"
    ):
        forced_call_grammar(HERMES, Tools((strict,), "required", strict=frozenset({"go"})), {}, "")


def test_functions_in_words_for_templates_that_know_none() -> None:
    call = ToolCall("1", "weather", '{"city": "Bonn"}')
    told = as_system_prompt(
        [
            Message("system", (Text("Be brief."),)),
            Message("user", (Text("Weather?"),)),
            Message("assistant", (), tool_calls=(call,)),
            Message("tool", (Text("sunny"),), tool_call_id="1"),
        ],
        TOOLS,
    )
    assert [message.role for message in told] == ["system", "user", "assistant", "user"]
    assert told[0].text.startswith("Be brief.")
    assert '"name": "weather"' in told[0].text
    assert told[2].text == '<tool_call>{"name": "weather", "arguments": {"city": "Bonn"}}</tool_call>'
    assert told[3].text == "<tool_response>sunny</tool_response>"
    assert run(HERMES, told[2].text, 3)[1][0].name == "weather"
    assert as_system_prompt([Message("user", (Text("hi"),))], None) == [Message("user", (Text("hi"),))]


def test_the_table_in_the_module_names_every_syntax() -> None:
    assert tool_syntax.__doc__ is not None
    for syntax in (HERMES, MISTRAL, GEMMA, PHI, LLAMA):
        assert syntax.opening in tool_syntax.__doc__
