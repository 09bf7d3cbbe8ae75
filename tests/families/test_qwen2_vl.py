"""Qwen2-VL and Qwen2.5-VL: positions along time, height and width, and what clips cost."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.families import family_for
from mistralrs_cli.families.base import Prepared
from mistralrs_cli.families.qwen2_vl import Qwen2VL
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import clip, picture, video_of

Tiny = Callable[[str], LoadedModel]
BOTH = pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl"])


def prepare(loaded: LoadedModel, *parts: DecodedMedia | str) -> Prepared:
    message = Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))
    return loaded.family.prepare(loaded.processor, [message])


def timed(medium: DecodedMedia, times: tuple[float, ...]) -> DecodedMedia:
    """The clip with its frames shown at these times."""
    return replace(medium, data=replace(video_of(medium), times=times))


@BOTH
@pytest.mark.parametrize("parts", [("hi",), (picture(1), "a", picture(2, 300, 90), "b"), (clip(1, 4), "a", picture(3))])
def test_positions_are_those_of_transformers_while_no_clip_outlasts_its_size(
    tiny: Tiny, name: str, parts: tuple[DecodedMedia | str, ...]
) -> None:
    loaded = tiny(name)
    inputs = dict(prepare(loaded, *parts).inputs)
    inputs.pop("position_ids", None)
    assert isinstance(loaded.family, Qwen2VL)
    theirs = loaded.model._prepare_position_ids_for_generation(inputs["input_ids"], inputs)
    assert torch.equal(loaded.family.positions(inputs), theirs)


@BOTH
def test_the_text_after_a_long_clip_begins_after_its_last_time_step(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    prepared = prepare(loaded, clip(1, 40, fps=2.0), "x")
    ids, positions = prepared.inputs["input_ids"][0], prepared.inputs["position_ids"]
    shown = (ids == loaded.processor.video_token_id).nonzero().flatten()
    first, last = int(shown[0]), int(shown[-1])
    steps = 20 if name == "qwen2_vl" else 2 * 20  # a step lasts one second, which is two positions in Qwen2.5-VL
    begin = int(positions[1, 0, first])
    assert positions[:, 0, first].tolist() == [first, begin, begin, begin]
    assert positions[1, 0, last] == begin + steps - steps // 20
    assert positions[:, 0, last + 1].tolist() == [last + 1, *[int(positions[1, 0, last]) + 1] * 3]


def test_time_steps_follow_the_clock_also_in_a_part_of_a_clip(tiny: Tiny) -> None:
    loaded = tiny("qwen2_5_vl")
    whole = replace(video_of(clip(1, 8)), total=240, fps=4.0, indices=tuple(range(160, 240, 10)))
    part = replace(clip(1, 8), data=replace(whole, times=tuple(index / 4 for index in whole.indices)))
    assert prepare(loaded, part, "x").inputs["second_per_grid_ts"].tolist() == pytest.approx([5.0])
    uneven = timed(clip(1, 5), (0.0, 0.1, 0.2, 0.3, 4.0))
    assert prepare(loaded, uneven, "x").inputs["second_per_grid_ts"].tolist() == pytest.approx([2.0])


def test_only_the_later_one_reads_the_clock(tiny: Tiny) -> None:
    answers = {}
    for name in ("qwen2_vl", "qwen2_5_vl"):
        with Engine(tiny(name)) as engine:
            for step in (0.5, 5.0):
                shown = timed(clip(1, 8), tuple(step * frame for frame in range(8)))
                message = Message("user", (shown, Text("what")))
                answers[name, step] = engine.generate([message], Sampling(max_tokens=8, temperature=0.0)).text
    assert answers["qwen2_vl", 0.5] == answers["qwen2_vl", 5.0]
    assert answers["qwen2_5_vl", 0.5] != answers["qwen2_5_vl", 5.0]


def test_a_clip_is_not_given_the_size_of_a_single_picture(tmp_path: Path, tiny: Tiny) -> None:
    """As published, with nothing but ``preprocessor_config.json``, which speaks of pictures."""
    loaded = tiny("qwen2_vl")
    loaded.tokenizer.save_pretrained(tmp_path)
    pictures = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"}
    limits = {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(pictures | limits), encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps(loaded.family.config), encoding="utf-8")
    processor = family_for(loaded.family.config).load_processor(tmp_path)
    assert processor.image_processor.size["longest_edge"] == 12845056
    assert dict(processor.video_processor.size) == {"shortest_edge": 128 * 28 * 28, "longest_edge": 768 * 28 * 28}
