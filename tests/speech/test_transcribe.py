"""Windows through a model, in order: what is joined, cancelled, limited, and counted."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from mistralrs_cli.events import Done, Event, TextDelta, TimedText, Timing, Usage
from mistralrs_cli.messages import Message, decoded_media
from mistralrs_cli.options import ModelOptions, Sampling
from mistralrs_cli.speech.transcribe import SpeechOptions, transcribe
from mistralrs_cli.speech.transcript import Segment, Transcript
from mistralrs_cli.speech.windows import Window
from tests.fake_model import Answer, FakeFamily, FakeModels

RATE = 16_000


def window(start: float, end: float, *, overlaps: bool = False, continues: bool = False) -> Window:
    samples = np.full(int((end - start) * RATE), start / 100, np.float32)
    return Window(samples, start, start, end, overlaps, continues)


def run(windows: Sequence[Window], *answers: Answer, **options: Any) -> tuple[list[Segment], Transcript, FakeModels]:
    models = FakeModels(*answers, family=FakeFamily())
    engine = models.start(models.open(ModelOptions()), ModelOptions())
    transcript = Transcript()
    speech = SpeechOptions(**options)
    segments = list(transcribe(engine, iter(windows), RATE, speech, Sampling(temperature=0.0), transcript))
    return segments, transcript, models


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_segments_come_in_order_with_their_windows_times(jobs: int) -> None:
    windows = [window(1, 2), window(5, 7), window(10, 11)]
    segments, transcript, models = run(windows, " one ", "two", "three", jobs=jobs)
    assert segments == [Segment("one", 1, 2), Segment("two", 5, 7), Segment("three", 10, 11)]
    assert transcript.segments == segments
    assert transcript.text == "one two three"
    given = [decoded_media(messages)[0].data for messages in models.asked]
    assert [len(audio.samples) for audio in given] == [RATE, 2 * RATE, RATE]  # type: ignore[union-attr]
    assert [sampling.max_tokens for sampling in models.samplings] == [104, 144, 104]


@pytest.mark.parametrize("jobs", [1, 3])
def test_windows_that_overlap_are_stitched(jobs: int) -> None:
    windows = [window(0, 30, continues=True), window(30, 58, overlaps=True, continues=True), window(58, 60)]
    segments, _, _ = run(windows, "we met on a sun", "met on a sunny day", "then", jobs=jobs)
    assert [segment.text for segment in segments] == ["we met on a", "sunny day", "then"]


def test_a_window_that_adds_nothing_is_left_out() -> None:
    windows = [window(0, 30, continues=True), window(30, 31, overlaps=True), window(40, 41)]
    segments, _, _ = run(windows, "the very end", "very end", "")
    assert [segment.text for segment in segments] == ["the very end"]


def test_times_of_the_model_are_those_of_the_recording() -> None:
    def timed(_: Sequence[Message]) -> Iterator[Event | str]:
        yield TextDelta("one two")
        yield TimedText("one", 0.5, 0.9, (TimedText("one", 0.5, 0.9),), language="en")
        yield TimedText("two", 1.0, 1.4)

    segments, transcript, _ = run([window(10, 12)], timed)
    assert [(part.text, part.start, part.end, part.times) for part in segments] == [
        ("one", 10.5, 10.9, "model"),
        ("two", 11.0, 11.4, "model"),
    ]
    assert segments[0].words[0].start == 10.5
    assert (transcript.times, transcript.language) == ("model", "en")


def test_a_text_that_has_no_end_is_marked() -> None:
    def cut(_: Sequence[Message]) -> Iterator[Event | str]:
        yield "one "
        yield Done("length", Usage(10, 5), Timing())

    segments, transcript, _ = run([window(0, 1), window(2, 3)], cut, "two")
    assert [segment.cut for segment in segments] == [True, False]
    assert transcript.usage.completion_tokens == 6


def test_what_is_asked_for_reaches_the_model() -> None:
    _, transcript, models = run([window(0, 1)], "x", language="de", translate=True, prompt="Ada")
    assert models.text == "language=de translate=True prompt=Ada"
    assert transcript.translated


def noted(engine: Any) -> list[Any]:
    """The streams that are begun from now on."""
    streams: list[Any] = []
    begin = engine.stream

    def stream(*given: Any) -> Any:
        streams.append(begin(*given))
        return streams[-1]

    engine.stream = stream
    return streams


def test_a_window_that_fails_ends_it_and_the_others_are_closed() -> None:
    models = FakeModels("one", ["two", RuntimeError("no")], "three", "four", family=FakeFamily())
    engine = models.start(models.open(ModelOptions()), ModelOptions())
    streams = noted(engine)
    windows = [window(at, at + 1) for at in range(0, 8, 2)]
    transcript = Transcript()
    with pytest.raises(RuntimeError, match="no"):
        list(transcribe(engine, iter(windows), RATE, SpeechOptions(), Sampling(), transcript))
    assert transcript.text == "one"
    assert [stream.closed for stream in streams] == [False, True, True, True]


def test_closing_cancels_what_runs() -> None:
    models = FakeModels("one", family=FakeFamily())
    engine = models.start(models.open(ModelOptions()), ModelOptions())
    streams = noted(engine)
    windows = [window(at, at + 1) for at in range(0, 40, 2)]
    segments = transcribe(engine, iter(windows), RATE, SpeechOptions(jobs=4), Sampling(), Transcript())
    assert next(segments).text == "one"
    segments.close()
    assert len(streams) == 4
    assert all(stream.closed for stream in streams[1:])
