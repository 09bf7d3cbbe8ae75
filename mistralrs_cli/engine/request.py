"""One request on its way: what the caller's side and the worker's side share, and the stream the caller reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from transformers import LogitsProcessorList

from ..events import Done, Event, FinishReason, Started, Timing, Usage
from ..families import Prepared
from ..options import Sampling
from .row import Row
from .sampling import Warping
from .transcript import Transcript


@dataclass(slots=True, eq=False)
class Request:
    """A prepared prompt and how to answer it. ``limit`` is the most tokens the answer may have."""

    prepared: Prepared
    sampling: Sampling
    warping: Warping
    processors: LogitsProcessorList
    transcript: Transcript
    limit: int
    arrived: float = field(default_factory=time.perf_counter)
    outbox: SimpleQueue[Event | BaseException] = field(default_factory=SimpleQueue)
    cancelled: bool = False


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
        item = self._request.outbox.get()
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        self._ended = self._ended or isinstance(item, Done)
        return item

    def close(self) -> None:
        """Stop generating; the row leaves before its next token."""
        self._ended = True
        self._request.cancelled = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._request.cancelled = True


class Answer:
    """The worker's side of a request: a row, and what its tokens have become so far."""

    def __init__(self, request: Request, row: Row, end_tokens: frozenset[int]) -> None:
        self.request = request
        self.row = row
        # where a grammar is complete there is nothing left to say but an end token, however often it is ignored
        ignored = request.sampling.ignore_eos and request.sampling.grammar is None
        self.end_tokens = frozenset() if ignored else end_tokens
        self.tokens = 0
        self.first_token = 0.0

    def draw(self, logits: Any) -> bool:
        """Draw a token from ``logits`` float32 [1, vocabulary] and post its text; true when the answer has ended."""
        token = self.row.draw(logits)
        self.tokens += 1
        if self.tokens == 1:
            self.first_token = time.perf_counter() - self.request.arrived
        transcript = self.request.transcript
        if token in self.end_tokens:
            return self.finish("stop")
        self.post(transcript.push(token))
        if transcript.stopped:
            return self.finish("stop")
        if self.tokens >= self.request.limit:
            return self.finish("length")
        return False

    def post(self, events: Iterator[Event]) -> None:
        """Send events to the caller."""
        for event in events:
            self.request.outbox.put(event)

    def finish(self, reason: FinishReason) -> bool:
        """Send what is held back, and the end."""
        self.post(self.request.transcript.flush())
        total = time.perf_counter() - self.request.arrived
        self.request.outbox.put(Done(reason, self.usage(), Timing(self.first_token, total)))
        return True

    def usage(self) -> Usage:
        """Token counts so far."""
        taken = dict.fromkeys(("image", "audio", "video"), 0)
        for report in self.request.prepared.media:
            taken[report.kind] += report.tokens
        return Usage(
            prompt_tokens=self.request.prepared.prompt_tokens,
            completion_tokens=self.tokens,
            image_tokens=taken["image"],
            audio_tokens=taken["audio"],
            video_tokens=taken["video"],
        )
