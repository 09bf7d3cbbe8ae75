"""Mistral Small 3 as it is published: with a processor's files, and without."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.families.base import Family, Prepared
from mistralrs_cli.loading import LoadedModel, load_processor, open_checkpoint
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.builders.voxtral import tekken
from tests.checkpoints.media import picture


def prepare(family: Family, processor: Any, *parts: DecodedMedia | str) -> Prepared:
    message = Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))
    return family.prepare(processor, [message])


@pytest.fixture
def bare(tmp_path: Path, tiny: Callable[[str], LoadedModel]) -> Path:
    """The small files of Mistral Small 3.2: a configuration and ``tekken.json``."""
    config = {**tiny("mistral3").family.config, "image_token_index": 10}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    vocabulary = tekken()
    del vocabulary["audio"]
    (tmp_path / "tekken.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    return tmp_path


def test_without_a_processors_files_the_configuration_tells_what_they_would(
    bare: Path, tiny: Callable[[str], LoadedModel]
) -> None:
    options = ModelOptions(model_id=str(bare))
    checkpoint = open_checkpoint(options)
    processor = load_processor(checkpoint, options)
    described = tiny("mistral3")
    parts = (picture(1), "a", picture(2, 200, 60), "b")
    made = prepare(checkpoint.family, processor, *parts)
    theirs = prepare(described.family, described.processor, *parts)
    assert made.inputs["pixel_values"].equal(theirs.inputs["pixel_values"])
    assert [report.tokens for report in made.media] == [report.tokens for report in theirs.media] == [6, 8]
    text = processor.tokenizer.decode(made.inputs["input_ids"][0])
    one = "[IMG][IMG][IMG][IMG_BREAK][IMG][IMG][IMG][IMG_END]"
    two = "[IMG][IMG][IMG][IMG][IMG_BREAK][IMG][IMG][IMG][IMG][IMG_END]"
    assert text == f"<s>[INST]{one}a{two}b[/INST]"


def test_its_own_template_knows_system_prompts_and_history(bare: Path) -> None:
    options = ModelOptions(model_id=str(bare))
    checkpoint = open_checkpoint(options)
    processor = load_processor(checkpoint, options)
    turns = [("system", "brief"), ("user", "hi"), ("assistant", "yes"), ("user", "[INST] so </s>")]
    messages = [Message(role, (Text(text),)) for role, text in turns]  # type: ignore[arg-type]
    ids = checkpoint.family.prepare(processor, messages).inputs["input_ids"][0].tolist()
    spelled = [[1, 17], b"brief", [18, 3], b"hi", [4], b"yes", [2, 3], b"[INST] so </s>", [4]]
    assert ids == [40 + token if isinstance(run, bytes) else token for run in spelled for token in run]
