"""The answers to one question on their way: events as they come, what they hold of memory, and how they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from ..errors import MistralrsError
from ..events import Done, Event, Started, TextDelta
from ..protocol import together
from .http import errors
from .limits.memory import Reservation

if TYPE_CHECKING:
    from ..engine import EventStream
    from .service import Service


class ResponseStreams:
    """The answers to one question while they are made. Close them, or read them to the end."""

    def __init__(
        self,
        service: Service,
        streams: list[EventStream],
        arrived: float,
        leave: Callable[[float | None], None],
        share: Reservation,
    ) -> None:
        self.service = service
        self.streams = streams
        self.arrived = arrived
        self._leave = leave
        self._share = share
        self._weighs = share.held > 0  # words alone are not worth waiting for
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._failure: MistralrsError | None = None
        self._closed = False
        self.done: dict[int, Done] = {}
        self.log_fields: dict[str, object] = {}  # for the log
        self._weigh()

    def _wake(self) -> None:
        """Called by the engine's thread."""
        if not self._news.is_set():
            with suppress(RuntimeError):  # the loop has ended, and its reader with it
                self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        """There is news: media that the model has read, perhaps, whether or not the reader is waiting."""
        self._news.set()
        self._weigh()

    def _weigh(self) -> None:
        """Hold as much memory as the prompts take that the model has yet to read."""
        if self._weighs and not self._closed:
            self._share.resize(sum(stream.input_bytes for stream in self.streams))

    async def events(self) -> AsyncGenerator[tuple[int, Event]]:
        """Events as they come, each with the number of its answer. Closing the generator cancels what is left."""
        metrics = self.service.metrics
        left = dict(enumerate(self.streams))
        first = True
        for stream in self.streams:
            stream.on_ready(self._wake)
        try:
            while left:
                self._news.clear()
                self._weigh()
                for index, stream in list(left.items()):
                    for event in stream.ready_events():
                        if isinstance(event, Done):
                            self._end(index, event)
                            del left[index]
                        elif first and not isinstance(event, Started):
                            first = False
                            seconds = time.perf_counter() - self.arrived
                            metrics.first_token(seconds)
                            self.log_fields["first_token"] = round(seconds, 4)
                        elif self.service.options.log_requests and isinstance(event, TextDelta):
                            self.log_fields["answer"] = str(self.log_fields.get("answer", "")) + event.text
                        yield index, event
                if self._failure is not None:
                    raise self._failure
                if left:
                    await self._news.wait()
        except MistralrsError as error:
            metrics.failed()
            self.log_fields |= {"outcome": "failed", "error": errors.code(error)}
            self.close(left=0)
            raise
        finally:
            self.close()

    async def all_events(self) -> list[list[Event]]:
        """The events of each answer, once all have ended."""
        events: list[list[Event]] = [[] for _ in self.streams]
        async with aclosing(self.events()) as arriving:
            async for index, event in arriving:
                events[index].append(event)
        return events

    def _end(self, index: int, done: Done) -> None:
        self.done[index] = done
        self.service.metrics.answered(done)
        said = sum(end.usage.completion_tokens for end in self.done.values())
        self.log_fields |= {
            "prompt_tokens": done.usage.prompt_tokens,
            "cached_tokens": done.usage.cached_tokens,
            "completion_tokens": said,
            "finish": ",".join(self.done[index].reason for index in sorted(self.done)),
        }

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt."""
        return self.streams[0].prompt_tokens

    @property
    def drawing(self) -> tuple[float, float]:
        """The temperature and top-p that tokens are drawn with."""
        return self.streams[0].drawing

    @property
    def cached_tokens(self) -> int:
        """How many of them an earlier prompt had left in the cache; known once the first token is there."""
        return self.streams[0].cached_tokens

    def total(self, choices: int | None = None) -> Done:
        """All answers as one. With several prompts, ``choices`` is how many answers each of them got."""
        return together([self.done[index] for index in sorted(self.done)], choices)

    def abort(self, error: MistralrsError) -> None:
        """Have the reader find this error."""
        self._failure = error
        self._news.set()

    def close(self, left: int | None = None) -> None:
        """Cancel what is not done, of which ``left`` answers were given up, by default all. Only the first time counts.

        Whoever leaves before the first event closes answers that nobody has begun to read.
        """
        if self._closed:
            return
        self._closed = True
        for stream in self.streams:
            stream.close()
        self._share.release()
        self.service.metrics.left(len(self.streams) - len(self.done) if left is None else left)
        self._leave(time.perf_counter() - self.arrived if self.done else None)
        self.service.answering.discard(self)
