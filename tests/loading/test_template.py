"""Template overrides: the user's choice wins, and a broken one is refused with its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading.template import override
from mistralrs_cli.options import ModelOptions


def write(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def test_none_named_none_used() -> None:
    assert override(ModelOptions()) is None


def test_jinja_explicit_wins_over_chat_template(tmp_path: Path) -> None:
    one, two = write(tmp_path, "a.jinja", "one"), write(tmp_path, "b.jinja", "two")
    assert override(ModelOptions(chat_template=one, jinja_explicit=two)) == "two"
    assert override(ModelOptions(chat_template=one)) == "one"


def test_json_holds_it_under_chat_template(tmp_path: Path) -> None:
    file = write(tmp_path, "t.json", json.dumps({"chat_template": "{{ messages }}"}))
    assert override(ModelOptions(chat_template=file)) == "{{ messages }}"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.jinja", "line one\n{% if %}", "line 2, column 7"),
        ("t.jinja", "aa\n  {%- if a -%}\n  {{ a b }}", "line 3, column 8"),
        ("t.jinja", "{% for x in y %}", "line 1: .*endfor"),
        ("t.jinja", "{{ x | nofilter }}", "nofilter"),
        ("t.json", '{"chat_template": "a", "bos_token": 3}', "bos_token is not text"),
        ("t.json", "{", "not JSON"),
        ("t.json", "{}", "chat_template"),
        ("t.json", '{"chat_template": "{{"}', "line 1"),
    ],
)
def test_broken_templates(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        override(ModelOptions(chat_template=write(tmp_path, name, text)))


def test_a_missing_template() -> None:
    with pytest.raises(OptionError, match="there is no file"):
        override(ModelOptions(jinja_explicit="/nowhere.jinja"))


def test_special_tokens_beside_the_template_reach_it(tmp_path: Path) -> None:
    """Tokenizer files write a token as text or as an object."""
    from transformers.utils.chat_template_utils import render_jinja_template

    content = {
        "chat_template": "\n{{ bos_token }}|{{ eos_token }}",
        "bos_token": '<"s">',
        "eos_token": {"content": "é"},
    }
    text = override(ModelOptions(chat_template=write(tmp_path, "t.json", json.dumps(content))))
    rendered: Any = render_jinja_template(conversations=[[]], chat_template=text, bos_token="no", eos_token="no")
    assert rendered[0][0] == '\n<"s">|é'


def test_tags_for_training_are_passed_over(tmp_path: Path) -> None:
    text = "{% for m in messages %}{% generation %}{{ m }}{% endgeneration %}{% break %}{% endfor %}"
    assert override(ModelOptions(jinja_explicit=write(tmp_path, "t.jinja", text))) == text


def test_a_template_runs_in_a_sandbox(tmp_path: Path) -> None:
    import jinja2
    from transformers.utils.chat_template_utils import render_jinja_template

    text = override(ModelOptions(jinja_explicit=write(tmp_path, "t.jinja", "{{ messages.append(1) }}")))
    with pytest.raises(jinja2.TemplateError, match="unsafe"):
        render_jinja_template(conversations=[[]], chat_template=text)
