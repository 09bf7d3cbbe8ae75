"""Rows asked of an engine: media are read, the prompt is queued, and the answer is collected."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from ..constraint.cut import unfinished
from ..errors import EngineDown, MistralrsError, ShuttingDown
from ..events import Reply, collect
from ..media import in_pages, in_parts
from ..media.labels import notes_on
from ..media.reading import naming_part, read_media
from ..media.served import as_sent
from ..media.sources import fetch
from ..media.texts import read_text
from ..messages import DecodedMedia, MediaBytes, MediaRef, Message, Part, TextFile, media_of
from ..options import MediaPolicy, Sampling
from .bodies import over
from .rows import Result, Row

if TYPE_CHECKING:
    from ..attach import AttachedEngine
    from ..attach.engine import AttachedStream
    from ..attach.server import ServerEngine, ServerStream
    from ..engine import Engine, EventStream
    from ..media import VideoSampling

OnError = Literal["skip", "stop", "retry"]
RETRIES = 2
PAUSE = 1.0
"""Seconds before a row is tried again; the second time it is twice that."""
FATAL = (EngineDown, ShuttingDown)
"""Failures after which no row can be answered."""


Read = Callable[[Sequence[Message]], tuple[Message, ...]]


def decoded_for(rate: int, sampling: VideoSampling, policy: MediaPolicy) -> Read:
    """Reads media as a model wants them: audio at ``rate`` Hz, videos as the frames that ``sampling`` says."""
    return partial(read_media, policy=policy, rate=rate, sampling=sampling)


def fetched_for(policy: MediaPolicy, server: ServerEngine | None = None) -> Read:
    """Reads the bytes of media, of a document those of each page, for an engine in another process that decodes
    them. For a ``server``, in forms that it may be expected to read."""

    def read(part: Part) -> Sequence[Part]:
        if not isinstance(part, MediaRef | MediaBytes):
            return (part,)
        with naming_part(part):
            fetched = fetch(part, policy)
            if server is None:
                return in_parts(fetched, policy)
            sent: list[Part] = []
            for page in in_pages(fetched, policy):
                sent += [page] if isinstance(page, TextFile) else as_sent(page, policy, ours=server.ours)
            return sent

    return lambda messages: tuple(
        replace(message, parts=tuple(chain.from_iterable(map(read, message.parts)))) for message in messages
    )


class Notes:
    """Keeps what an engine says of one answer."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, label: str) -> None:
        """What goes on is not kept."""

    def note(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)


class Answering:
    """Answers rows with an engine; any number of threads may call it, ``jobs`` of which are answered at a time.

    The others read their media meanwhile. The engine may be ``elsewhere``, in another process. Closing this stops what
    is being answered.
    """

    def __init__(
        self,
        engine: Engine | AttachedEngine | ServerEngine,
        sampling: Sampling,
        read: Read,
        *,
        jobs: int,
        retry: bool = False,
        elsewhere: bool = False,
    ) -> None:
        self.engine = engine
        self.sampling = sampling
        self.read = read
        self.retry = retry
        self.elsewhere = elsewhere
        self._places = threading.Semaphore(jobs)
        self._lock = threading.Lock()
        self._streams: set[EventStream | AttachedStream | ServerStream] = set()
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
        notes = Notes()
        try:
            if row.error is not None:
                raise row.error
            sampling = over(self.sampling, row.sampling)
            messages = self.read(with_texts(row.messages))
            for medium in media_of(messages):
                if isinstance(medium, DecodedMedia):
                    notes.said += notes_on(medium)
            with self._places:
                reply = self._reply(messages, sampling, row, notes)
            if reply.reason == "canceled":
                raise MistralrsError("The run has ended.")
            return Result(row, reply, unfinished(sampling.grammar, reply), notes=tuple(notes.said))
        except FATAL:
            raise
        except Exception as error:
            return Result(row, error=error, notes=tuple(notes.said))

    def _reply(self, messages: Sequence[Message], sampling: Sampling, row: Row, notes: Notes) -> Reply:
        if self._closed.is_set():
            raise MistralrsError("The run has ended.")
        more: dict[str, Any] = {} if row.tools is None else {"tools": row.tools}
        if self.elsewhere:
            more["watch"] = notes
        with self.engine.stream(messages, sampling, **more) as stream:
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


def with_texts(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages whose text files are read."""
    return tuple(replace(message, parts=tuple(map(text_read, message.parts))) for message in messages)


def text_read(part: Part) -> Part:
    """A part whose text file is read, if it is one."""
    return read_text(part.source).file if isinstance(part, TextFile) and not part.text else part
