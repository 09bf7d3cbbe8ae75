"""LLaVA with the templates it is published with, and with Vicuna's, which takes text."""

from collections.abc import Callable

import pytest

from mistralrs_cli.families import Prepared
from mistralrs_cli.loading import LoadedModel, load_processor, open_checkpoint
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.media import picture

PUBLISHED = (  # of llava-hf/llava-1.5-7b-hf, whose tokenizer writes the first token
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' ' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
VICUNA = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. "
)


def prepare(loaded: LoadedModel, *parts: DecodedMedia | str) -> Prepared:
    message = Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))
    return loaded.family.prepare(loaded.processor, [message])


def spoken(loaded: LoadedModel, prepared: Prepared) -> str:
    """The prompt with each run of placeholders as one."""
    text = loaded.tokenizer.decode(prepared.inputs["input_ids"][0])
    while "<image><image>" in text:
        text = text.replace("<image><image>", "<image>")
    return str(text)


@pytest.fixture(params=["llava", "llava_next", "llava_next_vicuna"])
def llava(request: pytest.FixtureRequest, tiny: Callable[[str], LoadedModel]) -> LoadedModel:
    return tiny(request.param)


def test_the_published_template_is_used_as_it_is_where_pictures_come_first(
    llava: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llava.processor, "chat_template", PUBLISHED)
    assert spoken(llava, prepare(llava, picture(), "what")) == "USER: <image>\nwhat ASSISTANT:"


def test_the_published_template_cannot_move_a_picture_to_the_front(
    llava: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llava.processor, "chat_template", PUBLISHED)
    prepared = prepare(llava, "before ", picture(1), "between ", picture(2, 60, 200), "after")
    assert spoken(llava, prepared) == "USER: before <image>\nbetween <image>\nafter ASSISTANT:"
    assert len(prepared.inputs["pixel_values"]) == 2


def test_vicunas_template_gets_text_with_placeholders(llava: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ModelOptions(model_id=llava.name, chat_template="vicuna.json")
    template = load_processor(open_checkpoint(options), options).chat_template
    monkeypatch.setattr(llava.processor, "chat_template", template)
    prepared = prepare(llava, picture(1), "what is <image> here")
    assert spoken(llava, prepared) == f"{VICUNA}USER: <image>\nwhat is <image> here ASSISTANT:"
    (report,) = prepared.media
    placeholder = llava.processor.image_token_id
    assert prepared.inputs["input_ids"][0].tolist().count(placeholder) == report.tokens, "what was typed is text"


def test_neighbours_are_reported_one_by_one(llava: LoadedModel) -> None:
    alone = [prepare(llava, medium, "x").media[0].tokens for medium in (picture(1), picture(2, 30, 100))]
    together = prepare(llava, picture(1), picture(2, 30, 100), "x").media
    assert [report.tokens for report in together] == alone
