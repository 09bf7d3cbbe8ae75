"""The templates that ship: found from any folder, compiled, and printing the published formats."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading.template import override, read_template
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.resources import bundled_names
from tests.drift.source import ROOT


def render(name: str, messages: list[dict[str, Any]], **inputs: Any) -> str:
    inputs = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True, **inputs}
    rendered: Any = render_jinja_template(conversations=[messages], chat_template=read_template(name), **inputs)
    return str(rendered[0][0])


@pytest.mark.parametrize("name", bundled_names("chat_templates"))
def test_every_bundled_template_compiles_and_answers_a_question(name: str) -> None:
    assert "What is two and two?" in render(name, [{"role": "user", "content": "What is two and two?"}])


@pytest.mark.parametrize("name", ["vicuna.json", "chat_templates/vicuna.json", "./chat_templates/vicuna.json"])
def test_a_bundled_template_is_found_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "ASSISTANT" in (override(ModelOptions(chat_template=name)) or "")


def test_a_file_of_the_users_wins_over_a_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vicuna.json").write_text(json.dumps({"chat_template": "mine"}))
    assert override(ModelOptions(chat_template="vicuna.json")) == "mine"


@pytest.mark.parametrize("name", ["/vicuna.json", "elsewhere/vicuna.json", "../chat_templates/vicuna.json"])
def test_a_path_to_somewhere_else_finds_no_bundled_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="there is no file") as caught:
        override(ModelOptions(chat_template=name))
    assert "vicuna.json" in (caught.value.hint or "")


def test_the_wheel_is_told_of_every_bundled_folder() -> None:
    assert '"chat_templates" = "mistralrs_cli/chat_templates"' in (ROOT / "pyproject.toml").read_text()


def test_vicuna_prints_the_published_format() -> None:
    talk: list[dict[str, Any]] = [
        {"role": "user", "content": "<image>\nWhat is this?"},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Which colour?"},
    ]
    assert render("vicuna.json", talk) == (
        "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the human's questions. USER: <image>\nWhat is this? ASSISTANT: A cat.</s>"
        "USER: Which colour? ASSISTANT:"
    )


def test_vicuna_takes_its_special_tokens_from_its_own_file() -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert render("vicuna.json", talk, eos_token="<other>", add_generation_prompt=False).endswith("ASSISTANT: b</s>")


TOOL = {"type": "function", "function": {"name": "weather", "description": "é", "parameters": {"type": "object"}}}


def test_mistral_small_prints_tools_calls_and_results_as_its_tokenizer_does() -> None:
    """The order and the control tokens of mistral-common's tokenizer version 11."""
    talk: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Rain there?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "abc123def", "function": {"name": "weather", "arguments": {"place": "Köln"}}}],
        },
        {"role": "tool", "tool_call_id": "abc123def", "content": "wet"},
    ]
    assert render("mistral_small_tool_call.jinja", talk, tools=[TOOL]) == (
        "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hello[/INST]Hi.</s>"
        '[AVAILABLE_TOOLS][{"type": "function", "function": {"name": "weather", "description": "é", '
        '"parameters": {"type": "object"}}}][/AVAILABLE_TOOLS][INST][IMG]Rain there?[/INST]'
        '[TOOL_CALLS]weather[CALL_ID]abc123def[ARGS]{"place": "Köln"}</s>'
        "[TOOL_RESULTS]abc123def[TOOL_CONTENT]wet[/TOOL_RESULTS]"
    )


def test_mistral_small_takes_arguments_as_text_too() -> None:
    call = {"function": {"name": "weather", "arguments": '{"place": "Rome"}'}}
    talk: list[dict[str, Any]] = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    assert '[TOOL_CALLS]weather[ARGS]{"place": "Rome"}</s>' in render("mistral_small_tool_call.jinja", talk)


def test_mistral_small_refuses_what_it_cannot_see() -> None:
    import jinja2

    with pytest.raises(jinja2.TemplateError, match="not audio"):
        render("mistral_small_tool_call.jinja", [{"role": "user", "content": [{"type": "audio"}]}])
