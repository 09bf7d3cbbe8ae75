"""The answers to one request: events as they come, the memory they hold, and how they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

from ..errors import MistralrsError, Overloaded
from ..events import Done, Event, Started, TextDelta
from ..protocol import together
from .backend import AnswerStream
from .generation_request import GenerationRequest
from .limits.memory import Reservation
from .limits.queue import Slots
from .metrics import ModelMetrics


class ResponseStreams:
    """The answers to one request while they are generated. Close them, or read them to the end.

    They hold ``slots`` and ``reservation`` until then; ``on_close`` is called once. What is known of them goes into
    ``log_fields``, their text with ``log_text`` only.
    """

    def __init__(
        self,
        request: GenerationRequest,
        streams: Sequence[AnswerStream],
        begun: float,
        slots: Slots,
        reservation: Reservation,
        *,
        metrics: ModelMetrics,
        log_fields: dict[str, object],
        log_text: bool,
        on_close: Callable[[ResponseStreams], None],
    ) -> None:
        self.request = request
        self.streams = streams
        self.begun = begun
        self.done: dict[int, Done] = {}
        self.log_fields = log_fields
        self._slots = slots
        self._reservation = reservation
        self._has_media = reservation.held > 0  # a prompt of text alone is not worth a reservation
        self._metrics = metrics
        self._log_text = log_text
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._failure: MistralrsError | None = None
        self._closed = False
        self.batch = request.sampling.priority == "batch"
        self._pieces = 0  # of the answers so far: about as many as tokens
        self._resize_reservation()
        self.log_fields["prompt_tokens"] = self.prompt_tokens

    def _wake(self) -> None:
        """Called by the backend's thread."""
        if not self._ready.is_set():
            with suppress(RuntimeError):  # the loop has ended, and its reader with it
                self._loop.call_soon_threadsafe(self._on_ready)

    def _on_ready(self) -> None:
        """Events are there; media that the model has read give their memory back, whether or not anything waits."""
        self._ready.set()
        self._resize_reservation()

    def _resize_reservation(self) -> None:
        """Hold as much memory as the prompts take that the model has yet to read."""
        if self._has_media and not self._closed:
            self._reservation.resize(sum(stream.input_bytes for stream in self.streams))

    async def events(self) -> AsyncGenerator[tuple[int, Event]]:
        """Events as they come, each with the index of its answer. Closing the generator cancels what is not done."""
        pending = dict(enumerate(self.streams))
        first = True
        for stream in self.streams:
            stream.on_ready(self._wake)
        try:
            while pending:
                self._ready.clear()
                self._resize_reservation()
                for index, stream in list(pending.items()):
                    for event in stream.ready_events():
                        self._pieces += not isinstance(event, Started | Done)
                        if isinstance(event, Done):
                            self._end(index, event)
                            del pending[index]
                        elif first and not isinstance(event, Started):
                            first = False
                            seconds = time.perf_counter() - self.begun
                            if not self.batch:
                                self._metrics.first_token(seconds)
                            self.log_fields["first_token"] = round(seconds, 4)
                        elif self._log_text and isinstance(event, TextDelta):
                            self.log_fields["answer"] = str(self.log_fields.get("answer", "")) + event.text
                        yield index, event
                if self._failure is not None:
                    raise self._failure
                if pending:
                    await self._ready.wait()
        except MistralrsError as error:
            if not isinstance(error, Overloaded):  # else a line of a batch is asked again
                self._metrics.failed()
            self.log_fields |= {"outcome": "failed", "error": error.code}
            self.close(disconnected=0)
            raise
        finally:
            self.close()

    async def all_events(self) -> list[list[Event]]:
        """The events of each answer, once all have ended."""
        found: list[list[Event]] = [[] for _ in self.streams]
        async with aclosing(self.events()) as events:
            async for index, event in events:
                found[index].append(event)
        return found

    def _end(self, index: int, done: Done) -> None:
        self.done[index] = done
        self._metrics.answered(done, batch=self.batch)
        thoughts = sum(end.usage.reasoning_tokens for end in self.done.values())
        self.log_fields |= {
            "prompt_tokens": done.usage.prompt_tokens,
            "cached_tokens": done.usage.cached_tokens,
            "completion_tokens": sum(end.usage.completion_tokens for end in self.done.values()),
            **({"reasoning_tokens": thoughts} if thoughts else {}),
            "finish": ",".join(self.done[index].reason for index in sorted(self.done)),
        }

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt."""
        return self.streams[0].prompt_tokens

    @property
    def cached_tokens(self) -> int:
        """How many of them came from the prefix cache; known from the first token on."""
        return self.streams[0].cached_tokens

    @property
    def drawing(self) -> tuple[float, float]:
        """The temperature and top-p of the sampling."""
        return self.streams[0].drawing

    def total(self) -> Done:
        """All answers as one; the tokens of a prompt count once for all its choices."""
        return together([self.done[index] for index in sorted(self.done)], self.request.choices)

    def abort(self, error: MistralrsError) -> None:
        """Have ``events`` raise this error."""
        self._failure = error
        self._ready.set()

    def close(self, disconnected: int | None = None) -> None:
        """Cancel what is not done; a second time does nothing.

        ``disconnected`` answers count as ended by their client: by default all that are not done, as when a client
        leaves before anything reads ``events``.
        """
        if self._closed:
            return
        self._closed = True
        if len(self.done) < len(self.streams):
            self.log_fields |= {"prompt_tokens": self.prompt_tokens, "completion_tokens": self._pieces}
        for stream in self.streams:
            stream.close()
        self._reservation.release()
        self._metrics.disconnected(len(self.streams) - len(self.done) if disconnected is None else disconnected)
        self._slots.release(time.perf_counter() - self.begun if self.done else None)
        self._on_close(self)
