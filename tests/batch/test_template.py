"""Places in a prompt."""

from __future__ import annotations

import pytest

from mistralrs_cli.batch.template import check_template, filled
from mistralrs_cli.errors import OptionError

COLUMNS = {"colour": "red", "Full name": "Ada", "n": 3, "tags": ["a", "é"], "none": None}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Describe {stem}.", "Describe a.b."),
        ("{path}|{name}|{path2}|{stem2}", "x/a.b.jpg|a.b.jpg|y/c|c"),
        ("{row.colour} {row.Full name} {row.n} {row.tags}{row.none}", 'red Ada 3 ["a", "é"]'),
        ('Answer as {"a": {"b": [1, 2]}} or {}, { x }, {1}.', 'Answer as {"a": {"b": [1, 2]}} or {}, { x }, {1}.'),
        ("{{stem}} is {stem}", "{stem} is a.b"),
    ],
)
def test_places_are_filled(template: str, text: str) -> None:
    check_template(template)
    assert filled(template, ["x/a.b.jpg", "y/c"], COLUMNS) == text


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert filled("{row.a}", [], {"a": "{stem} {{x}} \\1"}) == "{stem} {{x}} \\1"


@pytest.mark.parametrize(("template", "hint"), [("{stm}", "Did you mean {stem}?"), ("{colour}", "{row.COLUMN}")])
def test_unknown_places_are_refused_before_anything_is_asked(template: str, hint: str) -> None:
    with pytest.raises(OptionError) as raised:
        check_template(template)
    assert hint in str(raised.value.hint)


@pytest.mark.parametrize(("template", "said"), [("{row.color}", "Did you mean {row.colour}?"), ("{path3}", None)])
def test_a_row_without_the_column_or_file_is_an_error(template: str, said: str | None) -> None:
    check_template(template)
    with pytest.raises(OptionError) as raised:
        filled(template, ["a.jpg", "b.jpg"], COLUMNS)
    assert raised.value.hint == said
