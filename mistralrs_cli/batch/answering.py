"""Rows asked of an engine: media are read, the prompt is queued, and the answer is collected."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..constraint.cut import unfinished
from ..errors import EngineDown, MistralrsError, ShuttingDown
from ..events import Reply, collect
from ..media.reading import read_media
from ..media.texts import read_text
from ..messages import Message, Part, TextFile
from ..options import MediaPolicy, Sampling
from .bodies import over
from .rows import Result, Row

if TYPE_CHECKING:
    from ..engine import Engine, EventStream
    from ..media import VideoSampling

OnError = Literal["skip", "stop", "retry"]
RETRIES = 2
PAUSE = 1.0
"""Seconds before a row is tried again; the second time it is twice that."""
FATAL = (EngineDown, ShuttingDown)
"""Failures after which no row can be answered."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model wants media: audio at ``rate`` Hz, videos as the frames that ``sampling`` says."""

    policy: MediaPolicy
    rate: int
    sampling: VideoSampling


class Answering:
    """Answers rows with an engine; any number of threads may call it, ``jobs`` of which are answered at a time.

    The others read their media meanwhile. Closing it stops what is being answered.
    """

    def __init__(self, engine: Engine, sampling: Sampling, reading: Reading, *, jobs: int, retry: bool = False) -> None:
        self.engine = engine
        self.sampling = sampling
        self.reading = reading
        self.retry = retry
        self._places = threading.Semaphore(jobs)
        self._lock = threading.Lock()
        self._streams: set[EventStream] = set()
        self._closed = threading.Event()

    def __call__(self, row: Row) -> Result:
        """What comes of a row. Raises ``EngineDown`` and ``ShuttingDown``, after which nothing is answered."""
        begun = time.perf_counter()
        for attempt in range(RETRIES + 1 if self.retry and row.error is None else 1):
            if attempt and self._closed.wait(PAUSE * attempt):
                break
            result = self._tried(row)
            if result.error is None or self._closed.is_set():
                break
        return replace(result, seconds=time.perf_counter() - begun)

    def _tried(self, row: Row) -> Result:
        try:
            if row.error is not None:
                raise row.error
            sampling = over(self.sampling, row.sampling)
            messages = self.read(row.messages)
            with self._places:
                reply = self._reply(messages, sampling, row)
            if reply.reason == "canceled":
                raise MistralrsError("The run has ended.")
            return Result(row, reply, unfinished(sampling.grammar, reply))
        except FATAL:
            raise
        except Exception as error:
            return Result(row, error=error)

    def read(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Messages with their files and media read."""
        texts = tuple(replace(message, parts=tuple(map(text_read, message.parts))) for message in messages)
        return read_media(texts, self.reading.policy, rate=self.reading.rate, sampling=self.reading.sampling)

    def _reply(self, messages: Sequence[Message], sampling: Sampling, row: Row) -> Reply:
        if self._closed.is_set():
            raise MistralrsError("The run has ended.")
        more = () if row.tools is None else (row.tools,)
        with self.engine.stream(messages, sampling, *more) as stream:
            with self._lock:
                self._streams.add(stream)
            try:
                if self._closed.is_set():
                    raise MistralrsError("The run has ended.")
                return collect(stream)
            finally:
                with self._lock:
                    self._streams.discard(stream)

    def close(self) -> None:
        """Stop all that is being answered, and begin nothing more."""
        self._closed.set()
        with self._lock:
            streams = [*self._streams]
        for stream in streams:
            stream.close()


def text_read(part: Part) -> Part:
    """A part whose text file is read, if it is one."""
    return read_text(part.source).file if isinstance(part, TextFile) and not part.text else part
