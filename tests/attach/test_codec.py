"""What crosses to another process arrives as it was."""

import numpy as np
import pytest
from PIL import Image

from mistralrs_cli import errors
from mistralrs_cli.attach.codec import error_of, from_plain, packed, plain_error, to_plain, unpacked
from mistralrs_cli.decoded import DecodedAudio, DecodedImage, DecodedVideo
from mistralrs_cli.events import Done, MediaReport, ScoredToken, Started, TextDelta, Timing, TokenLogprobs, Usage
from mistralrs_cli.messages import (
    DecodedMedia,
    MediaBytes,
    MediaFormat,
    MediaOptions,
    MediaRef,
    Message,
    Text,
    TextFile,
    ToolCall,
)
from mistralrs_cli.options import Dry, Grammar, MediaPolicy, Sampling, Tools

PNG = MediaBytes(
    "image", "a.png", b"\x89PNG\0\xff", options=MediaOptions(max_edge=9), format=MediaFormat("PNG", "image")
)


@pytest.mark.parametrize(
    "value",
    [
        (Message("user", (PNG, Text("What? \ud83d \0 $")), tool_calls=(ToolCall("1", "f", "{}"),)),),
        Message("user", (MediaRef("audio", "-"), TextFile("notes", "n.txt"), PNG.as_bytes(b""))),
        Sampling(
            temperature=0.1, stop=("a", "b"), grammar=Grammar("regex", "a+"), logit_bias=((1, -0.5),), dry=Dry(1.0)
        ),
        Sampling(template_kwargs={"list": [1, {"$": "tuple"}], "none": None}),
        Tools(({"type": "function", "function": {"parameters": {"enum": ["a", 1]}}},), strict=frozenset({"f", "a"})),
        MediaPolicy(local_roots=("/a",)),
        (Started(7, (MediaReport("video", "c.gif", "2 frames", 9),)), TextDelta("é"), 0.1 + 0.2, 2**70, -0.0),
        TokenLogprobs(ScoredToken(1, "x", -0.25, b"\xff"), (ScoredToken(2, "y", -1e-9),)),
        Done("stop", Usage(1, 2, 3), Timing(0.1, 0.2, 0.3), stop="\n"),
    ],
)
def test_values_arrive_as_they_were(value: object) -> None:
    assert unpacked(b"".join(packed(value))) == value
    assert from_plain(to_plain(value)) == value


def test_the_pages_of_a_document_hold_it_once() -> None:
    pages = tuple(PNG.as_bytes(b"document" * 1000) for _ in range(3))
    same = tuple(PNG.as_bytes(pages[0].data) for _ in range(3))
    body = b"".join(packed(same))
    assert len(body) < 12_000
    found = unpacked(body)
    assert found == pages
    assert found[0].data is found[2].data


def test_decoded_media_arrive_as_they_were() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image = DecodedImage(Image.fromarray(pixels), 8, 4, "PNG", more=True)
    audio = DecodedAudio(np.array([0.5, -0.25, 1e-30], np.float32), 16_000)
    video = DecodedVideo(pixels[None], (3,), 2.5, 9, 8, 4, (1.25,), "a note")
    parts = tuple(
        DecodedMedia(kind, kind, data)  # type: ignore[arg-type]
        for kind, data in (("image", image), ("audio", audio), ("video", video))
    )
    first, second, third = unpacked(b"".join(packed(parts)))
    assert np.array_equal(np.asarray(first.data.image), pixels)
    assert (first.data.image.mode, first.data.width, first.data.more) == ("RGB", 8, True)
    assert second.data.samples.dtype == np.float32
    assert np.array_equal(second.data.samples, audio.samples)
    assert np.array_equal(third.data.frames, video.frames)
    assert (third.data.times, third.data.note) == ((1.25,), "a note")


@pytest.mark.parametrize("body", [b"", b"\0" * 7, b"".join(packed((PNG,)))[:-1], b"".join(packed((PNG,))) + b"x"])
def test_what_is_cut_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut|line 1"):
        unpacked(body)


def test_only_values_are_made() -> None:
    """A name that is no value of ours makes a namespace, whatever class has it elsewhere."""
    found = from_plain({"$": "Popen", "v": {"args": ["touch", "/tmp/x"]}})
    assert vars(found) == {"args": ["touch", "/tmp/x"]}


def test_errors_keep_their_class_and_words() -> None:
    error = errors.MediaNotFound("/a/model lacks it.", "Give it to /a/model.").at("messages[0]")
    found = error_of(plain_error(error), ("/a/model", "model"))
    assert type(found) is errors.MediaNotFound
    assert (found.message, found.hint, found.param) == (
        "messages[0]: model lacks it.",
        "Give it to model.",
        "messages[0]",
    )
    assert "unexpected error: KeyError: 'x'" in error_of(plain_error(KeyError("x"))).message
    assert type(error_of({"class": "first_line", "message": "x"})) is errors.MistralrsError
