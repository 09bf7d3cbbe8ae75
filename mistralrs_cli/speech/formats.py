"""How a transcript is written: plain text, SubRip and WebVTT subtitles, JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args

from .transcript import Segment, Transcript

Format = Literal["txt", "srt", "vtt", "json", "verbose_json"]
FORMATS: tuple[Format, ...] = get_args(Format)
LINE = 42
"""Characters of a subtitle's line, as most players show at most."""
SHORTEST = 0.02
"""Seconds between the beginning and the end of a cue: players drop one that ends when it begins."""


def opening(format: Format) -> str:
    """What comes before the first segment."""
    return "WEBVTT\n\n" if format == "vtt" else ""


def written(segment: Segment, number: int, format: Format) -> str:
    """One segment, the ``number``-th from 1, of a format that is written as it comes: ``txt``, ``srt`` or ``vtt``."""
    if format == "txt":
        return " ".join(segment.text.split()) + "\n"
    mark = "," if format == "srt" else "."
    times = f"{clock(segment.start, mark)} --> {clock(max(segment.end, segment.start + SHORTEST), mark)}"
    text = "\n".join(cue_lines(segment.text, escaped=format == "vtt"))
    gap = "\n" if number > 1 else ""  # an empty line between cues
    return f"{gap}{number}\n{times}\n{text}\n" if format == "srt" else f"{gap}{times}\n{text}\n"


def cue_lines(text: str, *, escaped: bool) -> Iterator[str]:
    """The lines of a cue. None is empty, which would end it, nor looks like a line of times."""
    text = " ".join(text.split()).replace("-->", "->")
    if escaped:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield from textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False) or [text]


def clock(seconds: float, mark: str) -> str:
    """``01:02:03,004``."""
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{mark}{whole % 1000:03}"


def whole_text(transcript: Transcript, format: Format) -> str:
    """A transcript that is done, in a format that is text."""
    return opening(format) + "".join(
        written(segment, number, format) for number, segment in enumerate(transcript.segments, 1)
    )


def as_object(transcript: Transcript, *, verbose: bool, words: bool = False, segments: bool = True) -> dict[str, Any]:
    """A transcript in OpenAI's JSON; ``verbose`` with the times of segments and, if asked for, of words.

    ``times`` is added to it: whether they are the ``model``'s, or those of the ``window`` that held the text.
    """
    if not verbose:
        return {"text": transcript.text}
    found: dict[str, Any] = {
        "task": "translate" if transcript.translated else "transcribe",
        "language": transcript.language or "",
        "duration": round(transcript.seconds, 3),
        "text": transcript.text,
        "times": transcript.times,
    }
    if segments:
        found["segments"] = [
            {"id": number, "start": round(part.start, 3), "end": round(part.end, 3), "text": part.text}
            for number, part in enumerate(transcript.segments)
        ]
    if words:
        found["words"] = [
            {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
            for part in transcript.segments
            for word in part.words
        ]
    return found
