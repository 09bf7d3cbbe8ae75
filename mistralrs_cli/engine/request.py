"""One request: what the caller's thread and the worker share of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from ..events import Done, Event
from ..families import Prepared
from ..options import Sampling
from .kv.budget import OPEN_END
from .kv.prefix import Plan, Prefix
from .output_parser import OutputParser
from .sampling.logprobs import Scores
from .sampling.sampler import SequenceSampler


@dataclass(slots=True, eq=False)
class Request:
    """A prepared prompt and how to answer it.

    ``limit`` is the most tokens the answer may have; ``prefix`` is what later prompts may know it by, ``plan`` what of
    an earlier one it means to reuse, and ``cached`` how many tokens it did; ``scores`` are its log
    probabilities, where they were asked for; ``end_tokens`` are those beside the
    model's own. ``None`` in the outbox says that the reader has closed the stream. ``arrived`` and ``prefilling``, when
    its prompt began to be read, are ``time.perf_counter`` seconds. ``interruptions`` is how often its
    prompt was left before it could be cut.
    """

    prepared: Prepared
    sampling: Sampling
    sampler: SequenceSampler
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
    interruptions: int = 0

    @property
    def batch(self) -> bool:
        """Whether interactive requests come before it."""
        return self.sampling.priority == "batch"

    @property
    def scores_prompt(self) -> bool:
        """Whether log probabilities of the prompt are sent as well (``echo``)."""
        return self.scores is not None and self.sampling.echo

    @property
    def longest(self) -> int:
        """Tokens it will have in the end; where the answer has no limit, a guess."""
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
