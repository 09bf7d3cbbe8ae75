"""What templates do with roles other than the user's: a list of parts must never be written down as a list."""

from collections.abc import Callable

import pytest

from mistralrs_cli.families.parts import text_roles
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Message, Text, ToolCall
from tests.checkpoints.media import picture

SPECIAL = (("bos_token", "<s>"), ("eos_token", "</s>"))
PARTS = "{% for p in m.content %}{{ p.text if p.type == 'text' else '<img>' }}{% endfor %}"
EVERY = "{% for m in messages %}" + PARTS + "{% endfor %}"
TRIMMED_SYSTEM = (  # as Gemma 4's
    "{% if messages[0].role == 'system' %}{{ messages[0].content | trim }}|{% set messages = messages[1:] %}{% endif %}"
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}" + PARTS + "{% endif %}{% endfor %}"
)
FIRST_PART_ALONE = (  # as Mistral Small 3.1's, which writes the results of tools down as they are
    "{% for m in messages %}{% if m.role == 'user' %}{{ m.content if m.content is string else m.content[0].text }}"
    "{% elif m.role == 'tool' %}{{ m.content | string }}"
    "{% elif m.tool_calls is defined %}{{ m.tool_calls | tojson }}"
    "{% else %}{{ m.content if m.content is string else m.content[0].text }}{% endif %}{% endfor %}"
)
JSON_RESULTS = (  # as Llama 4's
    "{% for m in messages %}{% if m.role == 'tool' %}{{ m.content | tojson }}{% elif m.content is string %}"
    "{{ m.content }}{% else %}" + PARTS + "{% endif %}{% endfor %}"
)
STRINGS = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "roles"),
    [
        (EVERY, set()),
        (TRIMMED_SYSTEM, {"system"}),
        (FIRST_PART_ALONE, {"tool"}),
        (JSON_RESULTS, {"tool"}),
        (STRINGS, {"system", "assistant", "tool"}),
    ],
)
def test_roles_that_must_be_given_text(template: str, roles: set[str]) -> None:
    assert text_roles(template, SPECIAL) == roles


@pytest.fixture
def loaded(tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], LoadedModel]:
    def with_template(template: str) -> LoadedModel:
        found = tiny("qwen3_vl")
        monkeypatch.setattr(found.processor, "chat_template", template)
        return found

    return with_template


def said(loaded: LoadedModel, *messages: Message) -> str:
    text: str = loaded.tokenizer.decode(loaded.family.prepare(loaded.processor, messages).inputs["input_ids"][0])
    return text


def test_a_system_prompt_is_said_not_quoted(loaded: Callable[[str], LoadedModel]) -> None:
    model = loaded(TRIMMED_SYSTEM.replace("<img>", "<|vision_start|><|image_pad|><|vision_end|>"))
    system = Message("system", (Text(" be "), Text("brief ")))
    text = said(model, system, Message("user", (picture(1), Text("what"))))
    assert text.startswith("be brief|<|vision_start|>")
    assert text.endswith("<|vision_end|>what")


def test_no_part_of_an_answer_is_lost(loaded: Callable[[str], LoadedModel]) -> None:
    """Some templates read the first part alone."""
    model = loaded(FIRST_PART_ALONE)
    talk = [Message("user", (Text("a"), Text("b"))), Message("assistant", (Text("c"), Text("d")))]
    assert said(model, *talk, Message("user", (Text("e"),))) == "abcde"


def test_a_tools_result_is_said_not_quoted(loaded: Callable[[str], LoadedModel]) -> None:
    model = loaded(JSON_RESULTS)
    call = ToolCall("abcdefgh1", "f", "{}")
    talk = [
        Message("user", (Text("a"),)),
        Message("assistant", (), tool_calls=(call,)),
        Message("tool", (Text("7"),), tool_call_id=call.id),
    ]
    assert said(model, *talk) == 'a"7"'
