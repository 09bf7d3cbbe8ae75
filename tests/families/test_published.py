"""The published files of documented models: none of their keys is lost in a tiny model, and that one answers."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.families.registry import listed
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints import published
from tests.checkpoints.fixtures import Written
from tests.checkpoints.media import clip, picture, sound
from tests.checkpoints.published import ADDED, PUBLISHED, SCALED
from tools.models_page import published_files

MEDIA: dict[str, DecodedMedia] = {"image": picture(1), "audio": sound(0.5), "video": clip(1)}


def leaves(content: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of nested objects, with the keys that lead to it."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), value


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_key_is_there(written: Written, name: str) -> None:
    folder = written(name)
    for file, content in import_module(f"{published.__name__}.{name}").FILES.items():
        found = dict(leaves(json.loads((folder / file).read_text())))
        for keys, value in leaves(content):
            at, nested = keys, found
            if value is SCALED or value is ADDED:
                assert any(other[: len(at)] == at for other in nested), f"{file}: {at}"
            else:
                assert nested[at] == value, f"{file}: {at}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_answers_about_all_it_reads_with_four_bits(written: Written, name: str) -> None:
    options = ModelOptions(model_id=str(written(name)), isq="4", cpu=True, dtype="f32")
    loaded = load(open_checkpoint(options), options)
    assert any("q4k" in note or "int4" in note for note in loaded.notes)
    parts = tuple(MEDIA[kind] for kind in sorted(loaded.family.modalities))
    with Engine(loaded) as engine:
        reply = engine.generate([Message("user", (*parts, Text("what")))], Sampling(max_tokens=2, ignore_eos=True))
    assert reply.usage.completion_tokens == 2


def test_the_page_says_which_files_were_published() -> None:
    rows = {row.split("|")[1].strip(): row for row in published_files()}
    assert len(rows) == len({family.listing.example for family in listed().values() if family.listing})
    assert "`config.json`" in rows["`microsoft/Phi-3.5-vision-instruct`"]
    assert Path(published.__file__).is_file()
