"""Templates that take text, leave media out, or move them: every part still stands where it was given."""

from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from mistralrs_cli.errors import TemplateError
from mistralrs_cli.families.parts import adapt_template, own_template, rendered

SPECIAL: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>"}
PLACEHOLDERS = {"image": "<image>\n", "audio": "<audio>"}
LOOP = "{% for m in messages %}{% for p in m.content %}"
ENDS = "{% endfor %}{% endfor %}"
IN_ORDER = LOOP + "{% if p.type == 'text' %}{{ p.text }}{% else %}[{{ p.type }}]{% endif %}" + ENDS
TEXT_ONLY = LOOP + "{% if p.type == 'text' %}{{ p.text }}{% endif %}" + ENDS
PICTURES_FIRST = (
    "{% for m in messages %}{% for p in m.content | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}"
    "{% endfor %}{% for p in m.content | selectattr('type', 'equalto', 'text') %}{{ p.text }}" + ENDS
)
STRINGS = "{% for m in messages %}{{ 'USER: ' + m.content + ' ' }}{% endfor %}ASSISTANT:"
WRITES_ANYTHING = "{% for m in messages %}USER: {{ m.content }} {% endfor %}ASSISTANT:"


def render(template: str, *parts: str) -> str | None:
    """The prompt of one message; ``<image>`` and ``<audio>`` stand for media."""
    content: list[dict[str, Any]] = [
        {"type": part[1:-1]} if part.startswith("<") else {"type": "text", "text": part} for part in parts
    ]
    turn = {"role": "user", "content": content}
    return rendered(adapt_template(template, [turn], PLACEHOLDERS, SPECIAL), content, SPECIAL)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (IN_ORDER, "a[image]b[image]"),
        (TEXT_ONLY, "a<image>\nb<image>\n"),
        (PICTURES_FIRST, "a<image>\nb<image>\n"),
        (STRINGS, "USER: a<image>\nb<image>\n ASSISTANT:"),
        (WRITES_ANYTHING, "USER: a<image>\nb<image>\n ASSISTANT:"),
    ],
)
def test_parts_stay_in_order(template: str, expected: str) -> None:
    assert render(template, "a", "<image>", "b", "<image>") == expected


def test_a_template_that_moves_pictures_is_left_alone_where_they_come_first() -> None:
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "a"}]}
    assert adapt_template(PICTURES_FIRST, [turn], PLACEHOLDERS, SPECIAL) == PICTURES_FIRST


def test_earlier_turns_are_joined_as_well() -> None:
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "audio"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
    ]
    strings = "{% for m in messages %}{{ m.role + ':' + m.content }}|{% endfor %}"
    template = adapt_template(strings, turns, PLACEHOLDERS, SPECIAL)
    rendered_turns: Any = render_jinja_template(conversations=[turns], chat_template=template, **SPECIAL)
    assert rendered_turns[0] == ["user:a<audio>|assistant:b|"]


def test_a_kind_without_a_placeholder_is_refused_by_name() -> None:
    with pytest.raises(TemplateError, match="no place for video"):
        render(TEXT_ONLY, "a", "<video>")


def test_a_broken_template_is_left_to_fail_on_the_conversation() -> None:
    turn = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    assert adapt_template("{{ 1 // 0 }}", [turn], PLACEHOLDERS, SPECIAL) == "{{ 1 // 0 }}"


def test_of_several_templates_the_one_for_tools_is_used_with_tools() -> None:
    several = {"default": "plain", "tool_use": "tools"}
    assert own_template(several, tools=False) == "plain"
    assert own_template(several, tools=True) == "tools"
    assert own_template({"default": "plain"}, tools=True) == "plain"
    assert own_template("one", tools=True) == "one"
