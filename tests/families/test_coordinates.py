"""What the numbers of an answer mean, with the processors of checkpoints: for any size, turned or shrunk on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import pytest
from PIL import Image
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from mistralrs_cli.events import MediaReport
from mistralrs_cli.families.coordinates import grounding_tokens
from mistralrs_cli.grounding import find
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.media import decode
from mistralrs_cli.messages import DecodedMedia, MediaBytes, MediaOptions, Message, Text
from mistralrs_cli.options import MediaPolicy
from tests.checkpoints.media import clip, sound

Tiny = Callable[[str], LoadedModel]
TURNED = 6  # EXIF: to be turned by 90 degrees to the right


def photo(width: int, height: int, max_edge: int | None = None, orientation: int = 1) -> DecodedMedia:
    """A photo of this size, upright."""
    size = (height, width) if orientation >= 5 else (width, height)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Image.new("RGB", size).save(file, "JPEG", exif=exif)
    return decode(MediaBytes("image", "photo.jpg", file.getvalue(), options=MediaOptions(max_edge)), MediaPolicy())


def reports(loaded: LoadedModel, *media: DecodedMedia) -> tuple[MediaReport, ...]:
    return loaded.family.prepare(loaded.processor, [Message("user", (*media, Text("where")))]).media


def written(name: str, report: MediaReport) -> str:
    """The right lower quarter of an image, as a model of the family writes it."""
    assert report.space is not None
    assert report.space.span is not None
    width, height = report.space.span
    edges = (height / 2, width / 2, height, width) if "gemma" in name else (width / 2, height / 2, width, height)
    return f'{{"box_2d": {[round(edge, 3) for edge in edges]}}}'


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "gemma4"])
def test_a_quarter_is_a_quarter_of_the_original(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    for medium in (photo(300, 200), photo(300, 200, 100), photo(200, 302, orientation=TURNED)):
        (report,) = reports(loaded, medium)
        width, height = medium.data.width, medium.data.height  # type: ignore[union-attr]
        (box,) = find(written(name, report), [report]).boxes
        assert box.box == (round(width / 2), round(height / 2), width, height)


def test_pixels_are_those_that_the_processor_made_of_each_image(tiny: Tiny) -> None:
    loaded = tiny("qwen2_5_vl")
    wide, tall = reports(loaded, photo(300, 200), photo(90, 400))
    inputs = loaded.family.prepare(
        loaded.processor, [Message("user", (photo(300, 200), photo(90, 400), Text("where")))]
    ).inputs
    patch = loaded.family.config["vision_config"]["patch_size"]
    for report, (_, rows, columns) in zip((wide, tall), inputs["image_grid_thw"].tolist(), strict=True):
        assert report.space is not None
        assert report.space.span == (columns * patch, rows * patch)


def test_frames_have_their_times_and_sound_no_space(tiny: Tiny) -> None:
    video, audio = reports(tiny("gemma4"), clip(1, 3), sound(1))
    assert video.space is not None
    assert video.space.times == tuple(clip(1, 3).data.times)  # type: ignore[union-attr]
    assert audio.space is None


def test_a_family_that_publishes_nothing_has_no_scale(tiny: Tiny) -> None:
    (report,) = reports(tiny("smolvlm"), photo(300, 200))
    assert report.space is not None
    assert report.space.span is None


def test_messages_are_told_apart(tiny: Tiny) -> None:
    loaded = tiny("qwen3_vl")
    first, second = Message("user", (photo(300, 200), Text("a"))), Message("user", (photo(80, 90), Text("b")))
    answered = Message("assistant", (Text("c"),))
    earlier, later = loaded.family.prepare(loaded.processor, [first, answered, second]).media
    assert [report.space and report.space.turn for report in (earlier, later)] == [0, 2]
    (box,) = find('{"bbox_2d": [0, 0, 1000, 1000]}', [earlier, later]).boxes
    assert (box.media, box.box) == (1, (0, 0, 80, 90))


def test_tags_of_boxes_are_part_of_an_answer() -> None:
    vocabulary = {"<|im_end|>": 0, "<|box_start|>": 1, "<|box_end|>": 2, "12": 3}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="12")),
        eos_token="<|im_end|>",
        additional_special_tokens=["<|box_start|>", "<|box_end|>"],
    )
    assert grounding_tokens({"model_type": "qwen2_vl"}, tokenizer) == {1, 2}
    assert grounding_tokens({"model_type": "llama"}, tokenizer) == frozenset()
    from mistralrs_cli.engine import Engine

    shown = SimpleNamespace(loaded=SimpleNamespace(tokenizer=tokenizer), _grounding=frozenset({1, 2}))
    assert Engine._decode(shown, [1, 3, 2, 0]).replace(" ", "") == "<|box_start|>12<|box_end|>"  # type: ignore[arg-type]
    assert Engine._decode(shown, [3, 0]) == "12"  # type: ignore[arg-type]


def test_a_report_crosses_to_another_process() -> None:
    from mistralrs_cli.attach.codec import from_plain, to_plain
    from mistralrs_cli.grounding import ImageCoordinates

    report = replace(MediaReport("image", "a.png", "", 1), space=ImageCoordinates(3, 4, (1000.0, 1000.0), times=(0.5,)))
    assert from_plain(to_plain(report)) == report
