"""Pictures and clips of odd shapes: answered, or refused with the size and what to do."""

from collections.abc import Callable

import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import MediaDecodeError
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import clip, picture

Tiny = Callable[[str], LoadedModel]


def ask(medium: DecodedMedia) -> list[Message]:
    return [Message("user", (medium, Text("what")))]


@pytest.mark.parametrize("name", ["lfm2_vl", "mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"])
@pytest.mark.parametrize(("width", "height"), [(4000, 3), (3, 4000)])
def test_a_strip_is_refused_by_its_size(tiny: Tiny, name: str, width: int, height: int) -> None:
    loaded = tiny(name)
    with pytest.raises(MediaDecodeError) as caught:
        loaded.family.prepare(loaded.processor, ask(picture(7, width, height)))
    assert caught.value.message.startswith(f"7.png is {width}×{height}: {loaded.family.name} takes images up to ")
    assert caught.value.hint == "Crop it, or cut it into several images."


@pytest.mark.parametrize(
    ("name", "sizes"),
    [(name, [(1, 1), (2, 1), (28, 28), (1, 100), (1000, 20)]) for name in ("llama4", "mistral3", "qwen2_vl", "qwen3_5")]
    + [("lfm2_vl", [(1, 1), (28, 28), (16, 1)])],  # this small one takes strips of at most 16 tokens
)
def test_the_smallest_and_the_thinnest_are_answered(tiny: Tiny, name: str, sizes: list[tuple[int, int]]) -> None:
    with Engine(tiny(name)) as engine:
        for width, height in sizes:
            reply = engine.generate(ask(picture(1, width, height)), Sampling(max_tokens=1))
            assert reply.usage.image_tokens > 0, (width, height)


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"])
def test_a_clip_may_have_any_number_of_frames(tiny: Tiny, name: str) -> None:
    loaded = tiny(name)
    tokens = [loaded.family.prepare(loaded.processor, ask(clip(1, frames))).media[0].tokens for frames in (1, 2, 3, 5)]
    assert tokens == [tokens[0], tokens[0], 2 * tokens[0], 3 * tokens[0]]
