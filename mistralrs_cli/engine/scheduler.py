"""The one thread that owns the model: requests join and leave the running batches between two tokens."""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import torch

from ..errors import EngineDown, GenerationError, first_line
from ..events import Done, Timing, Usage
from ..loading import LoadedModel
from .failures import translate
from .group import DecodeGroup
from .kv.budget import Budget
from .kv.layers import cross_attention_lengths, joinable
from .kv.prefix import Reuse
from .kv.snapshot import croppable
from .reclaim import CacheReclaimer
from .request import Answer, Request
from .runner.cancellation import Cancelled, Watch
from .sequence import SequenceState, prefill

LOG = logging.getLogger(__name__)
PATIENCE = 3  # failures in a row while there is nothing to do


class Scheduler:
    """Admits one request an iteration, then lets every lane decode one token.

    Rows share a lane where the family's ``batch_key`` says so and the cache can be joined; others get a lane of their
    own, and all lanes take turns. ``report`` is told of what nobody was prepared for.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        max_rows: int,
        kept: CacheReclaimer,
        budget: Budget,
        report: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.loaded = loaded
        self.budget = budget
        self.kept = kept
        self.max_rows = max_rows
        self._watch = Watch(loaded.model)
        self._inbox: SimpleQueue[Request | None] = SimpleQueue()
        self._waiting: deque[Request] = deque()
        self._lanes: dict[Hashable, DecodeGroup] = {}
        self._open: list[Request] = []  # all that have not ended, wherever they are
        self._report = report or log
        self._closing = False
        self._idle_failures = 0
        self.failure: EngineDown | None = None
        self._gate = threading.Lock()  # nothing may be queued behind the worker's back once it is told to end
        self._thread = threading.Thread(target=self._run, name="mistralrs-engine", daemon=True)
        atexit.register(self.close)  # a thread that is still inside torch when the interpreter ends aborts the process
        self._thread.start()

    @property
    def running(self) -> int:
        """Answers being decoded now."""
        return sum(len(lane.answers) for lane in list(self._lanes.values()))

    @property
    def waiting(self) -> int:
        """Requests that wait for a row."""
        return len(self._waiting) + self._inbox.qsize()

    def submit(self, request: Request) -> None:
        """Queue a request; its events arrive in its outbox."""
        with self._gate:
            if self.failure is not None:
                raise self.failure
            if self._closing:
                raise GenerationError("The engine is closed.")
            self._inbox.put(request)

    def close(self, timeout: float = 5.0) -> None:
        """Fail what is left and end the thread, waiting ``timeout`` seconds for a forward pass under way."""
        atexit.unregister(self.close)
        with self._gate:
            self._closing = True
            self._inbox.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        self.kept.encoded.attend()
        with torch.inference_mode():
            while not self._closing:
                try:
                    self._turn()
                    self._idle_failures = 0
                except BaseException as error:  # whatever it is: without this thread all would wait for ever
                    self._recover(error)
        try:
            self._receive(block=False)
        except Exception as error:
            self._report(error)
        self._end_all(self.failure or GenerationError("The engine was closed before the answer ended."))
        self.kept.clear()

    def _turn(self) -> None:
        """One iteration: who came, who left, the next prompt, and a token for every answer."""
        self._receive()
        self._dismiss()
        self._admit()
        for key, lane in list(self._lanes.items()):
            lane.attempt(partial(self._recompute, lane))
            lane.attempt(partial(self._regroup, lane))
            lane.attempt(lane.step)
            if not lane.answers:
                del self._lanes[key]

    def _recover(self, error: BaseException) -> None:
        """After what nobody was prepared for: all requests end with an error, and the engine begins anew.

        Where it fails again and again without a request to blame it on, it is down.
        """
        self._report(error)
        ended = self._end_all(GenerationError(f"The engine failed: {first_line(error)}", "Try again."))
        self.kept.clear()
        self._idle_failures = 0 if ended else self._idle_failures + 1
        if self._idle_failures < PATIENCE:
            return
        with self._gate:
            self.failure = EngineDown(f"The engine is down: {first_line(error)}", "Start it again.")
            self._closing = True

    def _end_all(self, error: GenerationError) -> int:
        """End all requests there are with an error; how many had not ended before."""
        ending = [request for request in self._open if not request.ended]
        self._open, self._lanes = [], {}
        self._waiting.clear()
        for request in ending:
            try:
                request.fail(error)
            except Exception as second:  # of the caller's ``wake``; the others have to hear of it all the same
                self._report(second)
        return len(ending)

    def _receive(self, *, block: bool = True) -> None:
        """Take what has arrived, and wait for it where there is nothing else to do."""
        idle = block and not self._lanes and not self._waiting
        while True:
            try:
                request = self._inbox.get(block=idle)
            except Empty:
                return
            if request is not None:
                self._open = [other for other in self._open if not other.ended] + [request]
                self._waiting.append(request)
            idle = False

    def _dismiss(self) -> None:
        """Let go of waiting requests that were closed; another thread of the caller may still be reading one."""
        for request in [request for request in self._waiting if request.cancelled]:
            self._waiting.remove(request)
            self._leave(request)

    def _leave(self, request: Request) -> None:
        """Let go of a request whose prompt was left: it was closed, or the engine is being closed and tells it so."""
        if request.cancelled:
            request.post(Done("canceled", Usage(request.prepared.prompt_tokens), Timing()))
        else:
            self._waiting.appendleft(request)

    def _admit(self) -> None:
        """Prefill the next request, if a row is free and there is memory for one more.

        Nobody overtakes: a long request gets its turn once enough rows have left.
        """
        if not self._waiting or self.running >= self.max_rows:
            return
        running = [answer.longest for lane in self._lanes.values() for answer in lane.answers]
        if not self.budget.admits(running, self._waiting[0].longest):
            return
        request = self._waiting.popleft()
        try:
            answer, ended = self._begin(request)
        except Cancelled:
            self._leave(request)
            return
        except Exception as error:
            request.post(translate(error))
            return
        if not ended:
            self._lane(answer).join(answer)

    def _begin(self, request: Request) -> tuple[Answer, bool]:
        self.budget.check(request.prepared.prompt_tokens)
        request.prefilling = time.perf_counter()
        generator = None
        if not request.warping.greedy:
            generator = torch.Generator(self.loaded.device)
            seed = request.sampling.seed
            generator.manual_seed(seed if seed is not None else secrets.randbits(63))
        reuse = None
        if request.plan is not None and request.prefix is not None:
            reuse = self.kept.prefixes.take(request.prefix, request.plan)
        request.plan = None
        request.cached = 0 if reuse is None else reuse.tokens
        row, logits = self._prefill(request, request.prepared.inputs, generator, reuse, every=request.scores_prompt)
        if row.cache is not None and joinable(row.cache):
            self.budget.learn(row.cache, row.cached)
        if self.loaded.family.rope_switch_length is None:
            request.prepared.inputs.clear()  # pixels and samples have done their work
        answer = Answer(request, row, self.loaded.end_tokens)
        reason = answer.begin(logits)
        if reason is not None or not croppable(row.cache):  # else what the whole answer leaves can be cut back
            self.kept.keep(answer, row.cache, 0)
        if reason is not None:
            answer.finish(reason)
        return answer, reason is not None

    def _prefill(
        self,
        request: Request,
        inputs: dict[str, Any],
        generator: torch.Generator | None,
        reuse: Reuse | None = None,
        *,
        every: bool = False,
    ) -> tuple[SequenceState, torch.Tensor]:
        """Run a prompt in its mode. Raises ``Cancelled`` where nobody waits for the answer any more."""
        self.loaded.family.enter(self.loaded.model, request.prepared.mode)
        arguments = request.warping.arguments() | {"max_new_tokens": max(request.limit, 1)}
        with self._watch.over(partial(self._look_up, request)):
            return self.kept.retry_after_evicting(
                lambda: prefill(self.loaded.model, inputs, arguments, request.processors, generator, reuse, every=every)
            )

    def _look_up(self, request: Request) -> None:
        """In the midst of a request's prompt: let go of the others that were closed, and of the prompt if it was."""
        if request.cancelled or self._closing:
            raise Cancelled
        self._receive(block=False)
        self._dismiss()
        for lane in list(self._lanes.values()):
            lane.attempt(lane.dismiss)

    def _recompute(self, lane: DecodeGroup) -> None:
        """Answers whose cache would mean something else after the next token are run from their beginning instead.

        That is that token's step: it is drawn, and the row goes on in the lane where it then belongs.
        """
        limit = self.loaded.family.rope_switch_length
        grown = {index: answer for index, answer in enumerate(lane.answers) if answer.row.cached == limit}
        canceled = {index for index, answer in grown.items() if answer.request.cancelled}
        lane.leave({index: "canceled" if index in canceled else None for index in grown})
        for index in grown.keys() - canceled:
            answer = grown[index]
            request, ids = answer.request, answer.row.ids
            request.prefix = None  # what the row will hold then begins no prompt that is looked up
            inputs = request.prepared.inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            try:
                fresh, logits = self._prefill(request, inputs, answer.row.generator)
                answer.row.resume(fresh)
                reason = answer.draw(logits)
            except Cancelled:
                if request.cancelled:
                    answer.finish("canceled")
                else:
                    self._leave(request)
                continue
            except Exception as error:
                request.post(translate(error))
                continue
            if reason is not None:
                answer.finish(reason)
            else:
                self._lane(answer).join(answer)

    def _regroup(self, lane: DecodeGroup) -> None:
        """Rows that have grown out of their lane go on in the one where they belong now."""
        family = self.loaded.family
        if not family.batch_key_changes or not lane.answers or not joinable(lane.batch.cache):
            return
        grown = {i for i, answer in enumerate(lane.answers) if family.batch_key(answer.row.cached) != lane.group}
        for answer in lane.part(grown):
            self._lane(answer).join(answer)

    def _lane(self, answer: Answer) -> DecodeGroup:
        row, mode = answer.row, answer.request.prepared.mode
        key: Hashable = object()
        group = self.loaded.family.batch_key(row.cached)
        if row.cache is not None and joinable(row.cache):
            key = (mode, group, cross_attention_lengths(row.cache))
        if key not in self._lanes:
            self._lanes[key] = DecodeGroup(self.loaded, mode, group, self.kept)
        return self._lanes[key]


def log(error: BaseException) -> None:
    """Tell the log of a failure."""
    LOG.error("The engine failed and began anew; all requests have ended.", exc_info=error)
