"""Many requests in one call, as many at a time as the model holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..batch.pool import answered
from ..batch.tally import Pace
from .problems import RequestError, RunnerError, translated
from .requests import ChatCompletionRequest, of_kind
from .responses import ChatCompletionResponse

OnError = Literal["skip", "stop", "retry"]
RETRIES = 2
PAUSE = 1.0
"""Seconds before a request is tried again; the second time it is twice that."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of one request of a batch, the ``index``-th: its ``response``, or the ``error`` that it ended with.

    >>> results = runner.batch(["Hello", ChatCompletionRequest("What is this?", images="missing.png")])
    >>> [type(result.response or result.error).__name__ for result in results]
    ['ChatCompletionResponse', 'RequestError']
    """

    index: int
    response: ChatCompletionResponse | None = None
    error: RequestError | RunnerError | None = None

    @property
    def text(self) -> str:
        """The words of the answer. Raises ``error`` where there is one."""
        if self.error is not None:
            raise self.error
        assert self.response is not None
        return self.response.choices[0].message.content or ""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is: ``result`` is the latest, ``rate`` is in requests a second.

    ``total`` and ``seconds_left`` are ``None`` where they are not known.

    >>> requests = [ChatCompletionRequest(text, max_tokens=1) for text in ("Hello", "Who are you?")]
    >>> results = runner.batch(requests, progress=lambda so_far: print(f"{so_far.done} of {so_far.total}"))
    1 of 2
    2 of 2
    """

    done: int
    failed: int
    total: int | None
    rate: float
    seconds_left: float | None
    result: BatchResult


class Answering(Protocol):
    """Answers one request, and can be stopped."""

    def __call__(self, request: ChatCompletionRequest[Any]) -> ChatCompletionResponse:
        """The response. Raises ``RequestError`` and ``RunnerError``."""

    def close(self) -> None:
        """Stop what is being answered."""


class Stoppable:
    """Answers requests with ``begin``, which gives streams, and ``whole``, which reads them."""

    def __init__(self, begin: Callable[[Any], Any], whole: Callable[[Any], ChatCompletionResponse]) -> None:
        self.begin, self.whole = begin, whole
        self.streams: dict[int, Sequence[Any]] = {}
        self.stopped = threading.Event()

    def __call__(self, request: ChatCompletionRequest[Any]) -> ChatCompletionResponse:
        """The response."""
        streams = self.begin(request)
        self.streams[id(streams)] = streams
        try:
            if self.stopped.is_set():
                raise RunnerError("The batch was stopped.")
            return self.whole(streams)
        finally:
            for stream in self.streams.pop(id(streams)):
                stream.close()

    def close(self) -> None:
        """Close the streams that are read."""
        self.stopped.set()
        for streams in [*self.streams.values()]:
            for stream in streams:
                stream.close()


class Plain:
    """Answers requests with a function that cannot be stopped."""

    def __init__(self, answer: Callable[[Any], ChatCompletionResponse]) -> None:
        self.answer = answer

    def __call__(self, request: ChatCompletionRequest[Any]) -> ChatCompletionResponse:
        """The response."""
        return self.answer(request)

    def close(self) -> None:
        """What has been sent is answered to the end."""


class Batch:
    """One call of ``Runner.batch``. ``answering`` may be closed from another thread, which ends ``run``."""

    def __init__(
        self,
        answering: Answering,
        requests: Iterable[ChatCompletionRequest[Any] | str],
        jobs: int,
        on_error: OnError,
        progress: Callable[[BatchProgress], object] | None,
    ) -> None:
        if on_error not in ("skip", "stop", "retry"):
            raise RequestError(f"on_error is {on_error!r:.40}.\nUse skip, stop or retry.")
        if isinstance(requests, (str, ChatCompletionRequest)):
            raise RequestError("A batch is a list of requests.\nPut this one into a list.")
        self.answering = answering
        self.requests = requests
        self.jobs = jobs
        self.on_error = on_error
        self.progress = progress
        self.ended = threading.Event()

    def run(self) -> list[BatchResult]:
        """All results, in the order of the requests. Raises the first error where ``on_error`` is ``stop``."""
        total = len(self.requests) if isinstance(self.requests, Sized) else None
        found: dict[int, BatchResult] = {}
        pace, failed = Pace(), 0
        with closing(self), closing(answered(self._asked(), self._tried, self.jobs)) as results:
            for number, _, outcome in results:
                if self.ended.is_set():
                    raise RunnerError("The batch was stopped.")
                result = self._result(number, outcome)
                found[number] = result
                failed += result.error is not None
                pace.add()
                if self.progress is not None:
                    left = None if total is None or not pace.rate else (total - len(found)) / pace.rate
                    self.progress(BatchProgress(len(found), failed, total, pace.rate, left, result))
        return [found[number] for number in sorted(found)]

    def _asked(self) -> Iterator[ChatCompletionRequest[Any]]:
        for request in self.requests:
            yield ChatCompletionRequest(request) if isinstance(request, str) else request

    def _result(self, number: int, outcome: ChatCompletionResponse | Exception) -> BatchResult:
        if not isinstance(outcome, Exception):
            return BatchResult(number, outcome)
        if self.on_error == "stop" or not isinstance(outcome, (RequestError, RunnerError)):
            raise outcome
        return BatchResult(number, error=outcome)

    def _tried(self, request: ChatCompletionRequest[Any]) -> ChatCompletionResponse:
        for attempt in range(RETRIES):
            try:
                return self._once(request)
            except (RequestError, RunnerError):
                if self.on_error != "retry" or self.ended.wait(PAUSE * (attempt + 1)):
                    raise
        return self._once(request)

    def _once(self, request: ChatCompletionRequest[Any]) -> ChatCompletionResponse:
        with translated():
            of_kind(request, ChatCompletionRequest)
            if request.stream:
                raise RequestError("A batch does not stream.\nLeave out stream=True.")
            return self.answering(request)

    def close(self) -> None:
        """Stop all that is being answered."""
        self.ended.set()
        self.answering.close()
