"""Pictures and clips in one prompt, and clips of different lengths, which the processor of transformers cannot do."""

from collections.abc import Callable

from mistralrs_cli.families import Prepared
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Text
from tests.checkpoints.media import clip, picture


def prepare(loaded: LoadedModel, *parts: DecodedMedia | str) -> Prepared:
    message = Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))
    return loaded.family.prepare(loaded.processor, [message])


def test_every_clip_is_told_its_own_number_of_frames(tiny: Callable[[str], LoadedModel]) -> None:
    loaded = tiny("smolvlm")
    prepared = prepare(loaded, clip(1, 2), "then", clip(2, 5), "and", picture(1))
    text = loaded.tokenizer.decode(prepared.inputs["input_ids"][0])
    assert text.index("of two frames") < text.index("then") < text.index("of five frames") < text.index("and")
    tokens = [report.tokens for report in prepared.media]
    assert tokens == [2 * 4, 5 * 4, 5 * 4], "frames are whole; a picture is cut in four"


def test_pixels_follow_the_prompt(tiny: Callable[[str], LoadedModel]) -> None:
    loaded = tiny("smolvlm")
    film, first, second = clip(1, 3), picture(1), picture(2, 96, 96)
    alone = [prepare(loaded, medium).inputs["pixel_values"][0] for medium in (first, film, second)]
    joined = prepare(loaded, first, "a", film, "b", second).inputs["pixel_values"][0]
    assert [len(views) for views in alone] == [5, 3, 5]
    assert joined[:5].equal(alone[0])
    assert joined[5:8].equal(alone[1])
    assert joined[8:].equal(alone[2])
