"""From a recording to its text: windows through the model, several at a time, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..decoded import DecodedAudio
from ..events import Done, Event, TextDelta, TimedText, Usage
from ..messages import DecodedMedia, Media, Message
from ..options import Sampling
from .stitch import gap, stitch
from .transcript import Segment, Times, Transcript, Word
from .windows import LONGEST, Cutting, Window, cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JOBS = 8
"""Windows that the model works on at a time."""
PAUSE, LONG_PAUSE = 0.5, 2.0
"""Seconds of quiet that end a window: a model without times of its own gets a window for each utterance."""
TOKENS, TOKENS_PER_SECOND = 64, 40
"""The most tokens of a window's text: more than any language needs, so that a model which repeats itself ends."""


class TextStream(Protocol):
    """The events of one window, which can be closed."""

    def __iter__(self) -> Iterator[Event]: ...
    def close(self) -> None: ...


class Transcribing(Protocol):
    """A model that says how it is asked to transcribe: the messages, and inputs of the chat template."""

    def transcription(
        self,
        audio: Media,
        language: str | None = None,
        *,
        translate: bool = False,
        prompt: str | None = None,
        words: bool = False,
    ) -> tuple[list[Message], Mapping[str, Any]]: ...


class SpeechModel(Transcribing, Protocol):
    """What is asked of a model: ``Engine`` and ``SpeechEngine`` have it."""

    def stream(self, messages: Sequence[Message], sampling: Sampling | None = None) -> TextStream: ...


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """How to write speech down.

    ``language`` is a code such as ``en``, ``translate`` asks for English, ``prompt`` has names and words to expect.
    Windows last at most ``longest`` seconds and end at pauses of ``pause``; ``None`` is what suits the model. ``words``
    asks for the times of words. ``jobs`` windows are in the model at a time.
    """

    language: str | None = None
    translate: bool = False
    prompt: str | None = None
    longest: float = LONGEST
    pause: float | None = None
    words: bool = False
    jobs: int = JOBS

    def cutting(self, *, model_times: bool) -> Cutting:
        """How to cut for a model that gives times of its own, or gives none."""
        pause = self.pause if self.pause is not None else LONG_PAUSE if model_times else PAUSE
        return Cutting(self.longest, pause)


def transcribe(
    model: SpeechModel,
    windows: Iterable[Window],
    rate: int,
    options: SpeechOptions,
    sampling: Sampling,
    transcript: Transcript,
    live: Callable[[str], None] | None = None,
) -> Generator[Segment]:
    """The segments of a recording in order, as they are done; they are added to ``transcript``, with their usage.

    ``live`` gets the text piece by piece, as the model writes it; together the pieces are ``transcript.text``.
    Closing the iterator cancels what is running. Raises what ``model.stream`` does.
    """
    running: deque[tuple[Window, TextStream]] = deque()
    held: list[Segment] = []  # the end of a window that the next one overlaps
    transcript.translated = options.translate

    text = LiveText(live)

    def done() -> Iterator[Segment]:
        window, stream = running[0]
        alone = live is not None and not (held or window.overlaps or window.continues)
        found = finish(window, stream, transcript, text.add if alone else None)
        running.popleft()
        for segment in released(held, found, window):
            transcript.segments.append(segment)
            if not alone:
                text.add(segment.text)
                text.end()
            yield segment
        text.end()

    try:
        for window in windows:
            running.append((window, begin(model, window, rate, options, sampling)))
            if len(running) >= options.jobs:
                yield from done()
        while running:
            yield from done()
        for segment in filter(lambda segment: segment.text, held):
            transcript.segments.append(segment)
            text.add(segment.text)
            yield segment
    finally:
        for _, stream in running:
            stream.close()


class LiveText:
    """Text as it is written: without the spaces at the ends of windows, and with those between them."""

    def __init__(self, write: Callable[[str], None] | None) -> None:
        self._write = write
        self._written = ""
        self._pending = ""
        self._fresh = True

    def add(self, text: str) -> None:
        """More of a window's text."""
        self._pending += text
        piece = self._pending.strip() if self._fresh else self._pending.rstrip()
        if not piece or self._write is None:
            return
        if self._fresh:
            before = gap(self._written, piece)
            self._pending = self._pending[len(self._pending) - len(self._pending.lstrip()) :]
            self._write(before + piece)
        else:
            self._write(piece)
        self._pending = self._pending[len(piece) :]
        self._written = (self._written + piece)[-8:]
        self._fresh = False

    def end(self) -> None:
        """A window's text ends here."""
        self._pending, self._fresh = "", True


def begin(model: SpeechModel, window: Window, rate: int, options: SpeechOptions, sampling: Sampling) -> TextStream:
    """Have the model begin with one window."""
    audio = DecodedMedia("audio", "audio", DecodedAudio(window.samples, rate))
    messages, inputs = model.transcription(
        audio, options.language, translate=options.translate, prompt=options.prompt, words=options.words
    )
    most = TOKENS + int(TOKENS_PER_SECOND * len(window.samples) / rate)
    return model.stream(
        messages,
        replace(
            sampling,
            max_tokens=most if sampling.max_tokens is None else sampling.max_tokens,
            template_kwargs={**sampling.template_kwargs, **inputs},
        ),
    )


def finish(
    window: Window, stream: TextStream, transcript: Transcript, live: Callable[[str], None] | None = None
) -> list[Segment]:
    """Wait for a window's text: as the model timed it, or all of it from the window's beginning to its end."""
    text, timed, ending = "", [], "stop"
    for event in stream:
        match event:
            case TextDelta():
                text += event.text
                if live is not None:
                    live(event.text)
            case TimedText():
                timed.append(event)
                transcript.language = transcript.language or event.language
            case Done():
                ending = event.reason
                transcript.usage = added(transcript.usage, event.usage)
    cut_off = ending == "length"
    if timed:
        return [model_timed(part, window, cut=cut_off and part is timed[-1]) for part in timed if part.text.strip()]
    text = text.strip()
    return [Segment(text, window.start, window.end, cut=cut_off)] if text else []


def model_timed(part: TimedText, window: Window, *, cut: bool) -> Segment:
    """A segment that the model gave times for, in seconds of the recording."""
    words = tuple(Word(word.text, word.start + window.offset, word.end + window.offset) for word in part.words)
    times: Times = "window" if part.estimated else "model"
    return Segment(part.text.strip(), part.start + window.offset, part.end + window.offset, times, words, cut)


def released(held: list[Segment], found: list[Segment], window: Window) -> Iterator[Segment]:
    """The segments of ``held`` and ``found``, joined where they overlap; ``held`` then has what the next window may."""
    if window.overlaps and held and found:
        before, after = stitch(held[-1].text, found[0].text)
        held[-1] = trimmed(held[-1], before, keep_first=True)
        found[0] = trimmed(found[0], after, keep_first=False)
    ready = [*held, *found]
    held[:] = ready[-1:] if window.continues else []
    yield from (segment for segment in ready[: len(ready) - len(held)] if segment.text)


def trimmed(segment: Segment, text: str, *, keep_first: bool) -> Segment:
    """A segment with the part of its text that is left after stitching, and as many of its words."""
    if text == segment.text:
        return segment
    count = len(text.split())
    words = segment.words[:count] if keep_first else segment.words[len(segment.words) - count :]
    if not words:
        return replace(segment, text=text, words=())
    return replace(segment, text=text, words=words, start=words[0].start, end=words[-1].end)


def added(first: Usage, second: Usage) -> Usage:
    """The tokens of two windows together."""
    return Usage(**{each.name: getattr(first, each.name) + getattr(second, each.name) for each in fields(Usage)})


def windows_of(
    blocks: Iterator[NDArray[np.float32]], rate: int, cutting: Cutting, transcript: Transcript
) -> Iterator[Window]:
    """The windows of a recording, whose length is noted in ``transcript`` as it is read."""

    def counted() -> Iterator[NDArray[np.float32]]:
        for block in blocks:
            transcript.seconds += len(block) / rate
            yield block

    return cut(counted(), rate, cutting)
