"""The events of one window of speech, as its reader gets them from the thread that owns the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from ...decoded import DecodedAudio
from ...events import Done, Event
from ...options import Sampling, SpeechTask


class WindowStream(Iterator[Event]):
    """One window, from when it is queued until its text is there. Closing it cancels it."""

    prompt_tokens = cached_tokens = input_bytes = 0

    def __init__(self, audio: DecodedAudio, task: SpeechTask, sampling: Sampling) -> None:
        self.audio = audio
        self.task = task
        self.cancelled = False
        self.drawing = (task.temperature, sampling.top_p or 1.0)
        self._outbox: SimpleQueue[Event | BaseException | None] = SimpleQueue()
        self._wake: Callable[[], None] | None = None
        self._ended = False

    def post(self, item: Event | BaseException) -> None:
        """Send an event, or what went wrong, to the reader."""
        self._outbox.put(item)
        if (wake := self._wake) is not None:
            wake()

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called whenever ``ready_events`` has more."""
        self._wake = wake
        wake()

    def ready_events(self) -> Iterator[Event]:
        """The events that are there. Raises what went wrong."""
        while not self._ended:
            try:
                yield self._taken(self._outbox.get_nowait())
            except (Empty, StopIteration):
                return

    def __next__(self) -> Event:
        if self._ended:
            raise StopIteration
        return self._taken(self._outbox.get())

    def _taken(self, item: Event | BaseException | None) -> Event:
        if item is None:
            raise StopIteration
        self._ended = isinstance(item, (Done, BaseException))
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Leave the batch before the next token; a thread that waits finds the end."""
        self._ended = self.cancelled = True
        self._outbox.put(None)

    def __enter__(self) -> WindowStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
