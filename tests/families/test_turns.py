"""Conversations that a template refuses as they are, and whose fault it is where something fails."""

from collections.abc import Callable
from typing import Any

import pytest

from mistralrs_cli.errors import MediaDecodeError, OptionError, TemplateError
from mistralrs_cli.families.turns import alternating
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Message, Role, Text
from tests.checkpoints.media import picture

ALTERNATING = (  # as Gemma 3's, which knows no system turn in this form
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) or m.role == 'system' %}"
    "{{ raise_exception('roles have to alternate') }}{% endif %}<|im_start|>{{ m.role }}\n"
    "{% for p in m.content %}{% if p.type == 'image' %}<start_of_image>{% else %}{{ p.text }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
Told = tuple[Role, str]


@pytest.fixture
def loaded(tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    found = tiny("gemma3")
    monkeypatch.setattr(found.processor, "chat_template", ALTERNATING)
    return found


def prompt(loaded: LoadedModel, *turns: Told) -> str:
    messages = [Message(role, (Text(text),)) for role, text in turns]
    text: str = loaded.tokenizer.decode(loaded.family.prepare(loaded.processor, messages).inputs["input_ids"][0])
    return text


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("user", "one"), ("user", "two")], ["one\n\ntwo"]),
        ([("user", "a"), ("assistant", "b"), ("user", "c"), ("user", "d"), ("user", "e")], ["a", "b", "c\n\nd\n\ne"]),
        ([("user", "a"), ("assistant", "b"), ("assistant", "c"), ("user", "d")], ["a", "b\n\nc", "d"]),
        ([("system", "be brief"), ("user", "one")], ["be brief\n\none"]),
        ([("system", "be brief"), ("user", "one"), ("user", "two")], ["be brief\n\none\n\ntwo"]),
    ],
)
def test_neighbours_are_joined_where_a_template_wants_roles_to_alternate(
    loaded: LoadedModel, turns: list[Told], expected: list[str]
) -> None:
    said = prompt(loaded, *turns).split("<|im_end|>\n")[:-1]
    assert [turn.partition("\n")[2] for turn in said] == expected


def test_an_answer_first_is_refused_in_the_templates_words(loaded: LoadedModel) -> None:
    with pytest.raises(TemplateError, match="roles have to alternate"):
        prompt(loaded, ("assistant", "hello"), ("user", "one"))


def test_a_template_that_takes_the_turns_gets_them_as_they_are(tiny: Callable[[str], LoadedModel]) -> None:
    assert prompt(tiny("gemma3"), ("user", "one"), ("user", "two")).count("<|im_start|>user") == 2


def test_pictures_stay_in_their_place_when_turns_are_joined(loaded: LoadedModel) -> None:
    messages = [Message("user", (picture(1), Text("this"))), Message("user", (picture(2), Text("and that")))]
    prepared = loaded.family.prepare(loaded.processor, messages)
    assert [report.source for report in prepared.media] == ["1.png", "2.png"]
    text = loaded.tokenizer.decode(prepared.inputs["input_ids"][0])
    assert text.index("this") < text.rindex("<start_of_image>") < text.index("and that")


def test_calls_of_functions_stay_turns_of_their_own() -> None:
    call: dict[str, Any] = {"role": "assistant", "content": [], "tool_calls": [{"id": "1"}]}
    assert alternating([call, call]) == [call, call]


@pytest.mark.parametrize("error", [RuntimeError("shape '[1]'"), ZeroDivisionError("by zero"), TypeError("x")])
def test_a_processor_that_fails_is_not_called_a_template(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    loaded = tiny("gemma3")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(type(loaded.processor.image_processor), "__call__", fail)
    with pytest.raises(MediaDecodeError, match="cannot prepare an image of 64×48 pixels"):
        loaded.family.prepare(loaded.processor, [Message("user", (picture(1), Text("what")))])


def test_half_a_character_is_named(tiny: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(OptionError, match="half of a character"):
        prompt(tiny("gemma3"), ("user", "an emoji cut in two: \ud83d"))
