"""The transcript of one recording as a stream of events, for a server: made in a thread, read without waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import Protocol

from ..errors import GenerationError, MistralrsError
from ..events import Done, Event, Started, TextDelta, Timing
from ..media.audio_stream import open_audio_stream
from ..messages import MediaBytes, Message
from ..options import MediaPolicy, Sampling
from .transcribe import SpeechOptions, Transcribing, transcribe, windows_of
from .transcript import Transcript

TICK = 0.2
"""Seconds after which a thread that waits for the model looks whether it is cancelled."""


class ReadyStream(Protocol):
    """The events of one window, as they can be read without waiting."""

    def on_ready(self, wake: Callable[[], None]) -> None: ...
    def ready_events(self) -> Iterator[Event]: ...
    def close(self) -> None: ...


class ReadyModel(Transcribing, Protocol):
    """What is asked of a model that other threads ask, too."""

    def stream(self, messages: Sequence[Message], sampling: Sampling | None = None) -> ReadyStream: ...


class TranscriptStream:
    """A recording being transcribed. Closing it cancels the windows in the model, and ends the reading.

    ``transcript`` has the segments so far; text comes as ``TextDelta``, and ``Done`` with the tokens of all windows.
    """

    def __init__(
        self,
        model: ReadyModel,
        medium: MediaBytes,
        rate: int,
        policy: MediaPolicy,
        options: SpeechOptions,
        sampling: Sampling,
        *,
        model_times: bool,
    ) -> None:
        """Open the recording, of which ``rate`` samples a second are taken, and begin.

        Raises ``MediaError`` for what is no audio, and what the model does not do as asked.
        """
        self.transcript = Transcript(language=options.language)
        self._begun = time.perf_counter()
        self._first = 0.0
        self._sampling = sampling
        self._outbox: SimpleQueue[Event | BaseException] = SimpleQueue()
        self._wake: Callable[[], None] | None = None
        self._cancelled = threading.Event()
        self._started = threading.Event()  # the model has the first window, or there is none
        self._refusal: MistralrsError | None = None
        self._stack = ExitStack()
        self._audio = self._stack.enter_context(open_audio_stream(medium, rate, policy))
        cutting = options.cutting(model_times=model_times)
        windows = windows_of(self._audio.blocks, rate, cutting, self.transcript)
        waiting = _WaitingModel(model, self._cancelled, self._started)
        self._segments = transcribe(waiting, windows, rate, options, sampling, self.transcript, self._live)
        self._post(Started(0))
        threading.Thread(target=self._run, name="mistralrs-transcribe", daemon=True).start()
        self._started.wait()
        if self._refusal is not None:
            raise self._refusal

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompts of all windows so far."""
        return self.transcript.usage.prompt_tokens

    @property
    def cached_tokens(self) -> int:
        """How many of them came from the prefix cache."""
        return self.transcript.usage.cached_tokens

    @property
    def drawing(self) -> tuple[float, float]:
        """The temperature and top-p of the sampling."""
        return self._sampling.temperature or 0.0, self._sampling.top_p or 1.0

    @property
    def input_bytes(self) -> int:
        """Nothing: of the recording a window is held at a time."""
        return 0

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called, from another thread, whenever ``ready_events`` has more."""
        self._wake = wake
        wake()

    def ready_events(self) -> Iterator[Event]:
        """The events that are there. Raises what went wrong."""
        while True:
            try:
                item = self._outbox.get_nowait()
            except Empty:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Cancel what is not done."""
        self._cancelled.set()
        self._audio.stop()

    def _live(self, text: str) -> None:
        if not self._first:
            self._first = time.perf_counter() - self._begun
        self._post(TextDelta(text))

    def _post(self, item: Event | BaseException) -> None:
        self._outbox.put(item)
        if (wake := self._wake) is not None:
            wake()

    def _run(self) -> None:
        try:
            with self._stack:
                try:
                    for _ in self._segments:
                        if self._cancelled.is_set():
                            return
                finally:
                    self._segments.close()
            total = time.perf_counter() - self._begun
            self._post(Done("stop", self.transcript.usage, Timing(self._first, total)))
        except _Cancelled:
            return
        except MistralrsError as error:
            self._fail(error)
        except Exception as error:
            failure = GenerationError(f"The transcription failed: {type(error).__name__}: {error}", "Report it.")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            self._started.set()

    def _fail(self, error: MistralrsError) -> None:
        """End with an error, which the constructor raises where the model has refused the first window."""
        if self._started.is_set():
            self._post(error)
        else:
            self._refusal = error


class _Cancelled(Exception):
    """The reader has closed the stream; raised to leave the thread, and seen by nothing else."""


class _WaitingModel:
    """A model whose streams are waited for by the thread that reads them."""

    def __init__(self, model: ReadyModel, cancelled: threading.Event, started: threading.Event) -> None:
        self._model = model
        self._cancelled = cancelled
        self._started = started
        self.transcription = model.transcription

    def stream(self, messages: Sequence[Message], sampling: Sampling | None = None) -> _WaitingStream:
        """Begin with one window, unless all is cancelled."""
        if self._cancelled.is_set():
            raise _Cancelled
        stream = self._model.stream(messages, sampling)
        self._started.set()
        return _WaitingStream(stream, self._cancelled)


class _WaitingStream:
    """The events of one window, waited for."""

    def __init__(self, stream: ReadyStream, cancelled: threading.Event) -> None:
        self._stream = stream
        self._cancelled = cancelled
        self._ready = threading.Event()
        stream.on_ready(self._ready.set)

    def __iter__(self) -> Iterator[Event]:
        while not self._cancelled.is_set():
            self._ready.clear()
            for event in self._stream.ready_events():
                yield event
                if isinstance(event, Done):
                    return
            while not self._ready.wait(TICK):
                if self._cancelled.is_set():
                    break
        raise _Cancelled

    def close(self) -> None:
        """Cancel it."""
        self._stream.close()
