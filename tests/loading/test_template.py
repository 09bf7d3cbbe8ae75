"""Template overrides: the user's choice wins, and a broken one is refused with its line."""

import json
from pathlib import Path

import pytest

from mistralrs_cli.errors import TemplateError
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
        ("t.jinja", "line one\n{% if %}", "line 2"),
        ("t.json", "{", "not JSON"),
        ("t.json", "{}", "chat_template"),
        ("t.json", '{"chat_template": "{{"}', "line 1"),
    ],
)
def test_broken_templates(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(TemplateError, match=says):
        override(ModelOptions(chat_template=write(tmp_path, name, text)))


def test_a_missing_template() -> None:
    with pytest.raises(TemplateError, match="cannot be read"):
        override(ModelOptions(jinja_explicit="/nowhere.jinja"))
