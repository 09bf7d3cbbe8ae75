"""Subtitles that players read, and OpenAI's JSON."""

import pytest

from mistralrs_cli.speech.formats import as_object, clock, whole_text
from mistralrs_cli.speech.transcript import Segment, Transcript, Word

TALK = Transcript(
    [
        Segment("Hello, <b>world</b> & all.", 0.5, 2.0),
        Segment(f"{'word ' * 12}a --> b", 3661.9999, 3662.0),
    ],
    seconds=3700.0,
)


def test_subrip() -> None:
    assert whole_text(TALK, "srt") == (
        "1\n00:00:00,500 --> 00:00:02,000\nHello, <b>world</b> & all.\n\n"
        "2\n01:01:02,000 --> 01:01:02,020\nword word word word word word word word\nword word word word a -> b\n"
    )


def test_webvtt() -> None:
    lines = whole_text(TALK, "vtt").splitlines()
    assert lines[:3] == ["WEBVTT", "", "00:00:00.500 --> 00:00:02.000"]
    assert lines[3:5] == ["Hello, &lt;b&gt;world&lt;/b&gt; &amp; all.", ""]
    assert lines[-1] == "word word word word a -&gt; b"


def test_text_has_a_line_for_each_segment() -> None:
    assert whole_text(TALK, "txt").splitlines()[0] == "Hello, <b>world</b> & all."


def test_openais_json() -> None:
    timed = Transcript(
        [Segment("two words", 1.0, 2.0, "model", (Word("two", 1.0, 1.5), Word("words", 1.5, 2.0)))], "en", 3.0
    )
    assert as_object(timed, verbose=False) == {"text": "two words"}
    assert as_object(timed, verbose=True, words=True) == {
        "task": "transcribe",
        "language": "en",
        "duration": 3.0,
        "text": "two words",
        "times": "model",
        "segments": [{"id": 0, "start": 1.0, "end": 2.0, "text": "two words"}],
        "words": [{"word": "two", "start": 1.0, "end": 1.5}, {"word": "words", "start": 1.5, "end": 2.0}],
    }
    assert as_object(TALK, verbose=True)["times"] == "window"
    assert Transcript().times == "window"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "00:00:00,000"), (59.9996, "00:01:00,000"), (7384.25, "02:03:04,250")]
)
def test_clock(seconds: float, expected: str) -> None:
    assert clock(seconds, ",") == expected
