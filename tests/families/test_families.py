"""Which family a configuration belongs to, and what its checkpoint reads."""

from collections.abc import Callable
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import TemplateError, UnsupportedModality
from mistralrs_cli.events import MediaReport
from mistralrs_cli.families import Family, TextFamily, VisionFamily, family_for, require
from mistralrs_cli.families.gemma4 import Gemma4
from mistralrs_cli.families.llava import Llava
from mistralrs_cli.families.llava_next import LlavaNext
from mistralrs_cli.families.qwen2_vl import Qwen2VL
from mistralrs_cli.families.qwen3_5_moe import Qwen35Moe
from mistralrs_cli.families.qwen3_vl import Qwen3VL
from mistralrs_cli.families.runs import placeholder_runs
from mistralrs_cli.families.voxtral import Voxtral
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import clip, picture, sound

SEES: dict[str, Any] = {"vision_config": {}}
HEARS: dict[str, Any] = {"audio_config": {}}


@pytest.mark.parametrize(
    ("config", "family", "modalities"),
    [
        ({"model_type": "llama"}, TextFamily, set()),
        ({"model_type": "paligemma", **SEES}, VisionFamily, {"image"}),
        ({"model_type": "qwen2_vl", **SEES, "video_token_id": 5}, Qwen2VL, {"image", "video"}),
        ({"model_type": "qwen3_5_moe", **SEES, "video_token_id": 5}, Qwen35Moe, {"image", "video"}),
        ({"model_type": "glm4v", **SEES, "video_token_id": 5}, VisionFamily, {"image", "video"}),
        ({"model_type": "voxtral", **HEARS}, Voxtral, {"audio"}),
        ({"model_type": "gemma4", **SEES}, Gemma4, {"image", "video"}),
        ({"model_type": "gemma4", **SEES, **HEARS}, Gemma4, {"image", "audio", "video"}),
        ({"model_type": "gemma4", "vision_config": None, **HEARS}, Gemma4, {"audio"}),
        ({"model_type": "qwen3_vl", **SEES, "video_token_id": 5}, Qwen3VL, {"image", "video"}),
        ({"model_type": "llava", **SEES}, Llava, {"image"}),
        ({"model_type": "llava_next", **SEES}, LlavaNext, {"image"}),
        ({"model_type": "base", **SEES}, VisionFamily, {"image"}),
    ],
)
def test_family_and_modalities(config: dict[str, object], family: type[Family], modalities: set[str]) -> None:
    found = family_for(config)
    assert type(found) is family
    assert found.modalities == modalities


@pytest.mark.parametrize(
    ("config", "alone"),
    [
        ({"model_type": "llama"}, False),
        ({"model_type": "llama", "rope_scaling": None}, False),
        ({"model_type": "llama", "rope_scaling": {"rope_type": "llama3"}}, False),
        ({"model_type": "phi3", "rope_scaling": {"type": "longrope"}}, True),
        ({"model_type": "llava", **SEES, "text_config": {"rope_parameters": {"rope_type": "dynamic"}}}, True),
        ({"model_type": "x", "rope_parameters": {"full_attention": {"rope_type": "longrope"}}}, True),
    ],
)
def test_rows_whose_rotary_positions_would_change_each_other_decode_alone(
    config: dict[str, object], alone: bool
) -> None:
    family = family_for(config)
    assert (family.batch_key(9) != family.batch_key(9)) is alone


def test_what_it_cannot_read_is_named_with_what_it_can() -> None:
    with pytest.raises(UnsupportedModality) as caught:
        require(family_for({"model_type": "llava", **SEES}), "my/llava", ["image", "audio"])
    assert caught.value.message == "my/llava does not read audio: it reads text and images."
    assert caught.value.hint == "For audio, try -m google/gemma-4-E4B-it"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("ids", "runs"), [([], []), ([1, 9, 9, 2, 9], [2, 1]), ([9, 9], [2]), ([1, 2], []), ([8, 9, 1], [2])]
)
def test_placeholder_runs(ids: list[int], runs: list[int]) -> None:
    assert list(placeholder_runs(ids, frozenset({8, 9}))) == runs


def reports(loaded: LoadedModel, *parts: DecodedMedia | str) -> tuple[MediaReport, ...]:
    message = Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))
    return loaded.family.prepare(loaded.processor, [message]).media


def test_gemma4_reports_each_medium_in_order_with_its_own_tokens(tiny: Callable[[str], LoadedModel]) -> None:
    found = reports(tiny("gemma4"), clip(1, 3), "and", picture(1, 64, 64), sound(2.0), clip(2, 5), picture(2, 200, 20))
    assert [(report.kind, report.source) for report in found] == [
        ("video", "1.mp4"),
        ("image", "1.png"),
        ("audio", "440.0.wav"),
        ("video", "2.mp4"),
        ("image", "2.png"),
    ]
    assert found[0].tokens * 5 == found[3].tokens * 3, "the same number of tokens a frame"
    assert found[1].tokens == 64
    assert found[2].tokens == 50, "25 tokens a second"
    assert found[0].summary == "3 of 3 frames, 0.8 s"


@pytest.mark.parametrize("samples", [1, 100, 160, 480_001])
def test_gemma4_hears_the_shortest_click(tiny: Callable[[str], LoadedModel], samples: int) -> None:
    loaded = tiny("gemma4")
    click = sound(samples / 16_000)
    (report,) = reports(loaded, click, "what")
    assert report.tokens == 1 + samples // 480_000 * 750
    with Engine(loaded) as engine:
        message = Message("user", (click, Text("what")))
        assert engine.generate([message], Sampling(max_tokens=1)).usage.audio_tokens == report.tokens


@pytest.mark.parametrize(
    ("name", "tokens"), [("llama4", [20, 20]), ("mistral3", [6, 12]), ("lfm2_vl", [12, 44]), ("qwen2_vl", [4, 77])]
)
def test_a_picture_in_rows_or_tiles_is_one_picture(
    tiny: Callable[[str], LoadedModel], name: str, tokens: list[int]
) -> None:
    found = reports(tiny(name), picture(1, 64, 48), picture(2, 200, 300), "what")
    assert [(report.source, report.tokens) for report in found] == list(zip(["1.png", "2.png"], tokens, strict=True))


def test_gemma3n_hears_the_shortest_click(tiny: Callable[[str], LoadedModel]) -> None:
    loaded = tiny("gemma3n")
    with Engine(loaded) as engine:
        message = Message("user", (sound(1 / 16_000), Text("what")))
        assert engine.generate([message], Sampling(max_tokens=1)).usage.audio_tokens == 188


def test_qwen3_vl_joins_two_frames_to_a_step(tiny: Callable[[str], LoadedModel]) -> None:
    four, eight = reports(tiny("qwen3_vl"), clip(1, 4), clip(2, 8))
    assert eight.tokens == 2 * four.tokens > 0


def test_timestamps_reach_the_prompt(tiny: Callable[[str], LoadedModel]) -> None:
    for name, stamp in (("gemma4", "00:02"), ("qwen3_vl", "seconds>")):
        loaded = tiny(name)
        prepared = loaded.family.prepare(loaded.processor, [Message("user", (clip(1, 12), Text("when")))])
        assert stamp in loaded.tokenizer.decode(prepared.inputs["input_ids"][0])


def test_parts_stay_in_the_order_given(tiny: Callable[[str], LoadedModel]) -> None:
    loaded = tiny("gemma4")
    parts = (Text("first"), picture(), Text("second"), sound(), Text("third"), clip(), Text("fourth"))
    ids = loaded.family.prepare(loaded.processor, [Message("user", parts)]).inputs["input_ids"][0]
    text = loaded.tokenizer.decode(ids)
    marks = ["first", "<|image|>", "second", "<|audio|>", "third", "<|video|>", "fourth"]
    assert [text.index(mark) for mark in marks] == sorted(text.index(mark) for mark in marks)


def test_a_template_may_leave_the_first_token_to_the_tokenizer(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As LLaVA's does."""
    loaded = tiny("llava")
    message = [Message("user", (picture(), Text("hi <bos> there")))]
    expected = loaded.family.prepare(loaded.processor, message).inputs["input_ids"].tolist()
    first = [("<bos>", loaded.tokenizer.bos_token_id)]
    writes_it = TemplateProcessing(single="<bos> $A", pair="<bos> $A $B", special_tokens=first)
    monkeypatch.setattr(loaded.tokenizer._tokenizer, "post_processor", writes_it)
    without = loaded.processor.chat_template.replace("{{ bos_token }}", "")
    monkeypatch.setattr(loaded.processor, "chat_template", without)
    assert loaded.family.prepare(loaded.processor, message).inputs["input_ids"].tolist() == expected


@pytest.mark.parametrize("template", ["{{ messages[0].content[0] + 1 }}", "{{ 1 // 0 }}"])
def test_a_template_that_fails_is_a_template_error(
    tiny: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    loaded = tiny("gemma4")
    monkeypatch.setattr(loaded.processor, "chat_template", template)
    with pytest.raises(TemplateError, match="failed on this conversation"):
        loaded.family.prepare(loaded.processor, [Message("user", (Text("hi"),))])
