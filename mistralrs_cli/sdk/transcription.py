"""Recordings written down: what a program asks for, and what it gets."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from ..media.audio_stream import open_audio_stream
from ..messages import DecodedMedia, MediaBytes, MediaRef
from ..options import MediaPolicy, Sampling
from ..speech.formats import whole_text
from ..speech.transcribe import JOBS, SpeechModel, SpeechOptions, windows_of
from ..speech.transcribe import transcribe as segments_of
from ..speech.transcript import Segment, Transcript, Word
from ..speech.windows import LONGEST
from .parts import encoded, read_part
from .problems import RequestError, RunnerError, translated
from .values import at_least, number

ENDLESS = float("inf")


@dataclass(frozen=True, slots=True)
class TranscriptionResponse:
    """What a recording says. Times are in seconds of the recording.

    ``segments`` have ``text``, ``start``, ``end``, ``words`` and ``times``: whether their times are the ``model``'s, or
    those of the ``window`` that was cut at pauses; ``times`` is ``model`` where all of theirs are. ``words`` have
    ``text``, ``start`` and ``end``. ``language`` is a code, where it was given or found.

    >>> found = runner.transcribe("digits.wav")
    >>> found.text, found.times, len(found.segments)
    ('three seven one', 'window', 1)
    >>> print(found.srt())
    1
    00:00:00,200 --> 00:00:02,040
    three seven one
    <BLANKLINE>
    """

    text: str
    segments: tuple[Segment, ...]
    words: tuple[Word, ...]
    language: str | None
    duration: float
    times: Literal["model", "window"]

    def srt(self) -> str:
        """The transcript as SubRip subtitles."""
        return whole_text(Transcript([*self.segments]), "srt")

    def vtt(self) -> str:
        """The transcript as WebVTT subtitles."""
        return whole_text(Transcript([*self.segments]), "vtt")


@dataclass(frozen=True)
class Recording:
    """One call of ``transcribe``: a recording, and how it is written down. ``stopped`` is set to end it."""

    medium: MediaRef | MediaBytes
    options: SpeechOptions
    sampling: Sampling
    policy: MediaPolicy
    stopped: threading.Event

    def written(self, model: SpeechModel, rate: int, *, times: bool) -> TranscriptionResponse:
        """What a model hears at ``rate`` Hz, which gives ``times`` of its own or none."""
        transcript = Transcript(language=self.options.language)
        with open_audio_stream(self.medium, rate, self.policy) as audio:
            windows = windows_of(audio.blocks, rate, self.options.cutting(model_times=times), transcript)
            with closing(segments_of(model, windows, rate, self.options, self.sampling, transcript)) as segments:
                for _ in segments:
                    if self.stopped.is_set():
                        raise RunnerError("The transcription was stopped.")
        return TranscriptionResponse(
            transcript.text,
            tuple(transcript.segments),
            tuple(word for segment in transcript.segments for word in segment.words),
            transcript.language,
            round(transcript.seconds, 3),
            transcript.times,
        )


class Asked(TypedDict, total=False):
    """How to write a recording down, with the options of ``mistralrs transcribe``; ``rate`` is that of samples."""

    rate: float | None
    language: str | None
    translate: bool
    prompt: str | None
    words: bool
    window: float
    pause: float | None
    jobs: int
    temperature: float
    seed: int | None


def recording(
    audio: Any,
    policy: MediaPolicy | None = None,
    stopped: threading.Event | None = None,
    *,
    rate: float | None = None,
    language: str | None = None,
    translate: bool = False,
    prompt: str | None = None,
    words: bool = False,
    window: float = LONGEST,
    pause: float | None = None,
    jobs: int = JOBS,
    temperature: float = 0.0,
    seed: int | None = None,
) -> Recording:
    """What a program has asked for. Raises ``ValueError`` for values that make no sense."""
    with translated():
        part = {"type": "audio", "audio": audio} | ({} if rate is None else {"rate": rate})
        medium = read_part(part, "audio")
        if isinstance(medium, DecodedMedia):
            medium = MediaBytes("audio", "audio", data=encoded(medium))
    if not isinstance(medium, (MediaRef, MediaBytes)):
        raise RequestError(f"audio is {audio!r:.40}.\nGive a path, an address, bytes, a file, or samples and rate.")
    for name, value, low, high in (("window", window, 1.0, 30.0), ("pause", pause, 0.1, ENDLESS)):
        if value is not None and not low <= value <= high:
            raise RequestError(f"{name} must be from {low:g} to {high:g} seconds, not {value!r:.40}.")
    options = SpeechOptions(
        language, bool(translate), prompt or None, window, pause, bool(words), at_least(1, jobs, "jobs")
    )
    sampling = Sampling(
        temperature=number(temperature, "temperature"), seed=None if seed is None else number(seed, "seed")
    )
    return Recording(medium, options, sampling, policy or MediaPolicy(seconds=ENDLESS), stopped or threading.Event())
