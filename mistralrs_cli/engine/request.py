"""One request on its way: what the caller's side and the worker's side share, and the stream the caller reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from transformers import LogitsProcessorList

from ..events import Done, Event, FinishReason, Started, Timing, Usage
from ..families import Prepared
from ..options import Sampling
from .kv.budget import OPEN_END
from .kv.prefix import Plan, Prefix
from .output_parser import OutputParser
from .sampling.grammar import GrammarProcessor
from .sampling.logprobs import Scores
from .sampling.params import SamplingParams
from .sequence import SequenceState


@dataclass(slots=True, eq=False)
class Request:
    """A prepared prompt and how to answer it.

    ``limit`` is the most tokens the answer may have; ``prefix`` is what later prompts may know it by, ``plan`` what of
    an earlier one it means to reuse, and ``cached`` how many tokens it did; ``scores`` tells a drawn token's log
    probability from the logits float32 [1, vocabulary], where that was asked for; ``end_tokens`` are those beside the
    model's own. ``None`` in the outbox says that the reader has closed the stream. ``arrived`` and ``prefilling``, when
    its prompt began to be read, are ``time.perf_counter`` seconds.
    """

    prepared: Prepared
    sampling: Sampling
    warping: SamplingParams
    processors: LogitsProcessorList
    transcript: OutputParser
    limit: int
    prefix: Prefix | None = None
    plan: Plan | None = None
    cached: int = 0
    scores: Scores | None = None
    end_tokens: frozenset[int] = frozenset()
    arrived: float = field(default_factory=time.perf_counter)
    prefilling: float = 0.0
    outbox: SimpleQueue[Event | BaseException | None] = field(default_factory=SimpleQueue)
    wake: Callable[[], None] | None = None
    cancelled: bool = False
    ended: bool = False

    @property
    def scores_prompt(self) -> bool:
        """Whether the tokens of the prompt are told of, too."""
        return self.scores is not None and self.sampling.echo

    @property
    def longest(self) -> int:
        """Tokens it will have in the end; where nobody limited the answer, a guess."""
        answer = self.limit if self.sampling.max_tokens is not None else min(self.limit, OPEN_END)
        return self.prepared.prompt_tokens + answer

    def post(self, item: Event | BaseException) -> None:
        """Send an event, or what went wrong, to the caller. After the end nothing more is sent."""
        if self.ended:
            return
        self.ended = isinstance(item, (Done, BaseException))
        self.outbox.put(item)
        if (wake := self.wake) is not None:
            wake()

    def fail(self, error: BaseException) -> None:
        """End with an error; should there still be a row somewhere, it leaves."""
        self.post(error)
        self.cancelled = True


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
        """The temperature and top-p, whoever set them."""
        return self._request.warping.temperature, self._request.warping.top_p

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


class Answer:
    """The worker's side of a request: a row, and what its tokens have become so far."""

    def __init__(self, request: Request, row: SequenceState, end_tokens: frozenset[int]) -> None:
        self.request = request
        self.row = row
        self.scores = request.scores
        # where a grammar is complete there is nothing left to say but an end token, however often it is ignored
        ignored = request.sampling.ignore_eos and request.sampling.grammar is None
        self.end_tokens = frozenset() if ignored else end_tokens | request.end_tokens
        self.tokens = 0
        self.thought = 0
        self.first_token = self.prefill = 0.0

    @property
    def longest(self) -> int:
        """Tokens the row will have in the end, as far as that is known."""
        return max(self.request.longest, self.row.cached)

    def begin(self, logits: Any) -> FinishReason | None:
        """The first token, as ``draw``; where the prompt is told of, from the ``logits`` of all its positions."""
        if self.request.scores_prompt and self.scores is not None:
            self.request.post(self.scores.of_prompt(logits, self.row.ids[0].tolist()))
            logits = logits[:, -1].float()
        return "length" if self.request.limit < 1 else self.draw(logits)

    def draw(self, logits: Any) -> FinishReason | None:
        """Draw a token from ``logits`` float32 [1, vocabulary] and post its text; if the answer ends with it, why."""
        token = self.row.draw(logits)
        self.tokens += 1
        if self.tokens == 1:
            now = time.perf_counter()
            self.first_token, self.prefill = now - self.request.arrived, now - self.request.prefilling
        transcript = self.request.transcript
        if token in self.end_tokens:
            if self.scores is not None and self.request.sampling.echo:  # it is part of what was asked about
                self.request.post(self.scores(logits, token))
            return "stop"
        if transcript.thinking:
            self.thought += 1
        elif self.scores is not None:
            self.request.post(self.scores(logits, token))
        self.post(transcript.push(token))
        if transcript.stopped:
            return "stop"
        if self.tokens >= self.request.limit:
            return "length"
        return None

    def post(self, events: Iterator[Event]) -> None:
        """Send events to the caller."""
        for event in events:
            self.request.post(event)

    def finish(self, reason: FinishReason) -> None:
        """Send what is held back, and the end."""
        self.post(self.request.transcript.flush(cut=reason == "length"))
        if reason == "stop" and self.request.transcript.called:
            reason = "tool_calls"
        total = time.perf_counter() - self.request.arrived
        timing = Timing(self.first_token, total, self.prefill)
        stop, incomplete = self.request.transcript.stopped_by, reason != "canceled" and self.incomplete
        self.request.post(Done(reason, self.usage(), timing, stop, incomplete))

    @property
    def incomplete(self) -> bool:
        """Whether the answer was to follow a grammar, and has not reached its end."""
        wanted = self.request.sampling.grammar is not None
        return wanted and not all(
            processor.complete for processor in self.row.processors if isinstance(processor, GrammarProcessor)
        )

    def usage(self) -> Usage:
        """Token counts so far."""
        taken = dict.fromkeys(("image", "audio", "video"), 0)
        for report in self.request.prepared.media:
            taken[report.kind] += report.tokens
        return Usage(
            prompt_tokens=self.request.prepared.prompt_tokens,
            completion_tokens=self.tokens,
            reasoning_tokens=self.thought,
            cached_tokens=self.request.cached,
            image_tokens=taken["image"],
            audio_tokens=taken["audio"],
            video_tokens=taken["video"],
        )
