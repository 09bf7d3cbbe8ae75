"""The events of one answer, as its caller reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty
from types import TracebackType
from typing import Self

from ..events import Done, Event, Started
from .request import Request


class EventStream(Iterator[Event]):
    """The events of one answer. Closing it, leaving its ``with`` block or dropping it cancels the request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._pending: Event | None = Started(request.prepared.prompt_tokens, request.prepared.media)
        self._ended = False

    def __next__(self) -> Event:
        """Wait for the next event. Errors of the worker are raised here."""
        if self._ended:
            raise StopIteration
        if self._pending is not None:
            event, self._pending = self._pending, None
            return event
        return self._taken(self._request.outbox.get())

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt."""
        return self._request.prepared.prompt_tokens

    @property
    def drawing(self) -> tuple[float, float]:
        """The temperature and top-p in effect."""
        return self._request.sampler.params.temperature, self._request.sampler.params.top_p

    @property
    def cached_tokens(self) -> int:
        """How many tokens of the prompt were reused; known once the answer has begun."""
        return self._request.cached

    @property
    def input_bytes(self) -> int:
        """What the prompt's tensors take, media and all, until the model has read them."""
        return sum(int(getattr(value, "nbytes", 0)) for value in list(self._request.prepared.inputs.values()))

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called from the worker's thread whenever ``ready_events`` has more; it must return at once."""
        self._request.wake = wake

    def ready_events(self) -> Iterator[Event]:
        """The events that are there already, without waiting. Errors of the worker are raised here."""
        while not self._ended:
            try:
                yield self._taken(self._request.outbox.get_nowait()) if self._pending is None else next(self)
            except (Empty, StopIteration):
                return

    @property
    def ended(self) -> bool:
        """Whether nothing more comes: the answer is done, has failed, or was closed."""
        return self._ended

    def _taken(self, item: Event | BaseException | None) -> Event:
        if item is None:
            raise StopIteration
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        self._ended = self._ended or isinstance(item, Done)
        return item

    def close(self) -> None:
        """Stop generating; the row leaves before its next token, or before its prompt is read to the end.

        A thread that waits for the next event finds the end.
        """
        self._ended = True
        self._request.cancelled = True
        self._request.outbox.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._request.cancelled = True
