"""The one thread that owns the model: requests join and leave the running groups between two tokens."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue

import torch

from ..errors import EngineDown, GenerationError, OutOfMemory, first_line
from ..events import Done, Timing, Usage
from ..loading import LoadedModel
from ..options import KVCacheType
from .answer import Answer
from .batch_share import BatchShare
from .chunk_size import ChunkSize
from .failures import translate
from .group import DecodeGroup
from .kv.budget import Budget
from .prompt import Prompt
from .reclaim import CacheReclaimer
from .request import Request
from .runner.cancellation import Cancelled
from .runner.model_runner import ModelRunner
from .sequence import SequenceState

LOG = logging.getLogger(__name__)
PATIENCE = 3  # failures in a row while there is nothing to do
INTERRUPTIONS = 3  # how often a prompt that cannot be cut gives way to an interactive one, so that it ends some time


class Scheduler:
    """Prefills one prompt at a time, in chunks where others are answered, and lets every group decode one token.

    Sequences share a group where the family's ``batch_key`` says so and their caches can be batched; others get a
    group of their own, and all groups take turns. ``report`` is called with failures that end all requests.

    Requests of priority ``batch`` have groups of their own. While there is an interactive request they get a share of
    the time, and where it needs their memory they give up their caches and are prefilled again later.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        max_rows: int,
        reclaimer: CacheReclaimer,
        budget: Budget,
        report: Callable[[BaseException], None] | None = None,
        kv_cache_type: KVCacheType = "auto",
    ) -> None:
        self.loaded = loaded
        self.budget = budget
        self.reclaimer = reclaimer
        self.max_rows = max_rows
        self.runner = ModelRunner(loaded, kv_cache_type)
        budget.footprint = self.runner.footprint
        reclaimer.releases += [self._preempt_batches, self.runner.release]
        self._inbox: SimpleQueue[Request | None] = SimpleQueue()
        self._waiting: deque[Request] = deque()
        self._prompt: Prompt | None = None  # the one that is being prefilled
        self._suspended: Prompt | None = None  # a batch's, while an interactive one is prefilled
        self._preempted: dict[Request, Answer] = {}  # what they had when they gave up their caches
        self._share = BatchShare()
        self._working_for: Request | None = None  # whose prompt is run or whose group is decoded, one of them
        self._groups: dict[Hashable, DecodeGroup] = {}
        self.chunk = ChunkSize()
        self._encoding = False
        self._stepped = 0.0  # when the last decode step ended, in ``time.perf_counter`` seconds
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
        """Sequences being prefilled or decoded now."""
        # prompts are looked at first: one is left once its answer is in a group, and counts once
        found = {id(prompt.request) for prompt in (self._prompt, self._suspended) if prompt is not None}
        return len(found | {id(answer.request) for group in list(self._groups.values()) for answer in [*group.answers]})

    @property
    def cached_tokens(self) -> int:
        """Tokens in the KV caches of running sequences."""
        return sum(answer.sequence.cached for group in list(self._groups.values()) for answer in [*group.answers])

    @property
    def waiting(self) -> int:
        """Requests that wait to be prefilled."""
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
        self.reclaimer.encoded.activate()
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
        self.reclaimer.clear()
        self.reclaimer.releases.clear()  # they hold this scheduler, and with it the weights

    def _turn(self) -> None:
        """One iteration: who came, who left, some of the next prompt, and a token for every answer."""
        self._receive()
        self._drop_cancelled()
        self._admit()
        if self._prompt is not None and self._may_work(batch=self._prompt.request.batch):
            with self._timed(self._prompt.request):
                self._advance(self._prompt)
        self._step()

    @property
    def _interactive(self) -> bool:
        """Whether an interactive request is there."""
        return (
            (self._prompt is not None and not self._prompt.request.batch)
            or any(not group.batch for group in self._groups.values())
            or any(not request.batch for request in self._waiting)
        )

    def _may_work(self, *, batch: bool) -> bool:
        """Whether requests of a priority have their turn."""
        return not batch or not self._interactive or self._share.due

    @contextmanager
    def _timed(self, request: Request) -> Iterator[None]:
        """Work for a request of some priority, and those beside it."""
        begun, before = time.perf_counter(), self._working_for
        self._working_for = request
        try:
            yield
        finally:
            self._working_for = before
            if self._interactive:
                self._share.spent(time.perf_counter() - begun, batch=request.batch)
            else:
                self._share.clear()

    def _step(self) -> None:
        """A token for every answer whose turn it is."""
        begun, stepped = time.perf_counter(), False
        for key, group in sorted(self._groups.items(), key=lambda item: item[1].batch):
            if group.answers and self._may_work(batch=group.batch):
                stepped = True
                with self._timed(group.answers[0].request):
                    group.attempt(partial(self._recompute, group))
                    group.attempt(partial(self._regroup, group))
                    group.attempt(group.step)
            else:
                group.attempt(group.remove_cancelled)
            if not group.answers and self._groups.get(key) is group:
                del self._groups[key]
        if stepped and self._groups:
            self._stepped = time.perf_counter()
            self.chunk.decoded(self._stepped - begun)

    def _recover(self, error: BaseException) -> None:
        """After an unexpected failure: all requests end with an error, and the engine starts again.

        Where it fails again and again without a request to blame it on, it is down.
        """
        self._report(error)
        ended = self._end_all(GenerationError(f"The engine failed: {first_line(error)}", "Try again."))
        self.reclaimer.clear()
        self._idle_failures = 0 if ended else self._idle_failures + 1
        if self._idle_failures < PATIENCE:
            return
        with self._gate:
            self.failure = EngineDown(f"The engine is down: {first_line(error)}", "Start it again.")
            self._closing = True

    def _end_all(self, error: GenerationError) -> int:
        """End all requests there are with an error; how many had not ended before."""
        ending = [request for request in self._open if not request.ended]
        self._open, self._groups, self._prompt, self._suspended = [], {}, None, None
        self._preempted.clear()
        self._waiting.clear()
        for request in ending:
            try:
                request.fail(error)
            except Exception as second:  # of the caller's ``wake``; the others have to hear of it all the same
                self._report(second)
        return len(ending)

    def _receive(self, *, block: bool = True) -> None:
        """Take what has arrived, and wait for it where there is nothing else to do."""
        idle = block and not (self._groups or self._waiting or self._prompt or self._suspended)
        while True:
            try:
                request = self._inbox.get(block=idle)
            except Empty:
                return
            if request is not None:
                self._open = [other for other in self._open if not other.ended] + [request]
                self._waiting.append(request)
            idle = False

    def _drop_cancelled(self) -> None:
        """End waiting requests that were cancelled; another thread of the caller may still be reading one."""
        for request in [request for request in self._waiting if request.cancelled]:
            self._waiting.remove(request)
            self._give_back(request)

    def _give_back(self, request: Request) -> None:
        """End a request that has no sequence and was cancelled; any other waits again, for the engine to end it."""
        if request.cancelled and (answer := self._preempted.pop(request, None)) is not None:
            answer.finish("canceled")
        elif request.cancelled:
            request.post(Done("canceled", Usage(request.prepared.prompt_tokens), Timing()))
        else:
            self._waiting.appendleft(request)

    def _admit(self) -> None:
        """Take the next request's prompt, if one more may run and there is memory for it.

        First come, first served, interactive ones before batches: a long request gets its turn once enough others have
        ended.
        """
        if self._prompt is not None and self._prompt.request.batch:
            self._suspended, self._prompt = self._prompt, None
        if self._prompt is None and (request := self._next()) is not None:
            self._waiting.remove(request)
            try:
                self.budget.check(request.prepared.prompt_tokens)
            except OutOfMemory as error:
                request.post(error)
            else:
                self._prompt = self._prompt_of(request)
        if self._prompt is None:
            self._prompt, self._suspended = self._suspended, None

    def _next(self) -> Request | None:
        """The request to prefill next, if there is room for it."""
        interactive = next((request for request in self._waiting if not request.batch), None)
        if interactive is not None:
            return interactive if self._room_for(interactive) else None
        if not self._waiting or self._suspended is not None or self.running >= self.max_rows:
            return None
        request = self._waiting[0]
        return request if self.budget.admits(self._lengths(batch=True), request.longest, self._lengths()) else None

    def _room_for(self, interactive: Request) -> bool:
        """Whether one more interactive request may run; batches leave their memory to it."""
        running = self._lengths()
        if len(running) >= self.max_rows or not self.budget.admits(running, interactive.longest):
            return False
        while not self.budget.admits(running, interactive.longest, self._lengths(batch=True)):
            if not self._preempt():
                break
        return True

    def _lengths(self, *, batch: bool = False) -> list[int]:
        """The tokens that running requests of a priority will have in the end."""
        answers = [answer for group in self._groups.values() if group.batch is batch for answer in group.answers]
        suspended = [] if self._suspended is None or not batch else [self._suspended.request.longest]
        return [answer.longest for answer in answers] + suspended

    def _preempt(self) -> bool:
        """Have the newest batch request give up its cache and wait again; whether there was one."""
        if self._suspended is not None:
            self._waiting.appendleft(self._suspended.request)
            self._suspended = None
            return True
        for key, group in reversed(list(self._groups.items())):
            if group.batch and group.answers:
                answer = group.preempt(len(group.answers) - 1)
                self._preempted[answer.request] = answer
                self._waiting.appendleft(answer.request)
                if not group.answers:
                    del self._groups[key]
                return True
        return False

    def _preempt_batches(self) -> None:
        """Have all batch requests give up their caches, where an interactive one is out of memory."""
        if self._working_for is not None and not self._working_for.batch:
            while self._preempt():
                continue

    def _prompt_of(self, request: Request) -> Prompt:
        request.prefilling = request.prefilling or time.perf_counter()
        reuse = None
        if request.plan is not None and request.prefix is not None:
            reuse = self.reclaimer.prefixes.take(request.prefix, request.plan)
        request.plan = None
        if request not in self._preempted:
            request.cached = 0 if reuse is None else reuse.tokens
        check = partial(self._check_cancelled, request)
        return Prompt(self.runner, request, request.prepared.inputs, reuse, check)

    def _advance(self, prompt: Prompt) -> None:
        """Prefill a chunk of the prompt, or all that is left where no other waits for it."""
        request = prompt.request
        try:
            if request.cancelled:
                raise Cancelled
            ended = self._prefill(prompt)
        except Cancelled:
            self._prompt = None
            self._give_back(request)
        except Exception as error:
            self._prompt = None
            self._preempted.pop(request, None)
            request.post(translate(error))
        else:
            if ended is not None:
                try:
                    self._answer(request, *ended)
                finally:
                    self._prompt = None

    def _prefill(self, prompt: Prompt) -> tuple[SequenceState, torch.Tensor] | None:
        """The next part of a prompt. After the last one its sequence and logits."""
        batch = prompt.request.batch
        alone = not batch and not self._decoding(batch=False)
        if not prompt.begun:
            self._encode(prompt)
            if prompt.request.prepared.media and not alone:
                return None  # the others' turn
        tokens = None if alone else self.chunk.tokens if not batch else self.chunk.short
        begun, left = time.perf_counter(), prompt.left
        ended = self.reclaimer.retry_after_evicting(lambda: prompt.advance(tokens))
        self.chunk.prefilled(left if ended is not None else left - prompt.left, time.perf_counter() - begun)
        return ended

    def _decoding(self, *, batch: bool) -> bool:
        """Whether answers of a priority are being decoded."""
        return any(group.batch is batch for group in self._groups.values())

    def _encode(self, prompt: Prompt) -> None:
        """Have the media of a prompt encoded. Those that are answered meanwhile get their tokens in between."""
        self.reclaimer.encoded.seconds = self.chunk.seconds if self._groups else None
        self._encoding = self.loaded.family.rope_switch_length is None  # else a step may be another prefill
        try:
            self.reclaimer.retry_after_evicting(prompt.begin)
        finally:
            self._encoding = False

    def _answer(self, request: Request, sequence: SequenceState, logits: torch.Tensor) -> None:
        """Begin an answer with its first token; where that fails, it fails alone."""
        cache = sequence.cache
        assert cache is not None
        try:
            if cache.batchable:
                self.budget.learn(cache.bytes_per_token)
            if (resumed := self._preempted.pop(request, None)) is not None:
                resumed.resume(sequence)
                self._group(resumed).add(resumed)
                return
            if self.loaded.family.rope_switch_length is None and not request.batch:
                request.prepared.inputs.clear()  # pixels and samples have done their work
            answer = Answer(request, sequence, self.loaded.end_tokens)
            reason = answer.begin(logits)
            if cache.batchable and (reason is not None or not cache.croppable):  # else the whole answer's is cut back
                self.reclaimer.retain(answer, cache.snapshot)
            if reason is not None:
                answer.finish(reason)
        except Exception as error:
            request.post(translate(error))
        else:
            if reason is None:
                self._group(answer).add(answer)

    def _check_cancelled(self, request: Request) -> None:
        """While a request's prompt is run: end the others that were cancelled, and leave the prompt if it was."""
        if request.cancelled or self._closing:
            raise Cancelled
        self._receive(block=False)
        self._drop_cancelled()
        self._give_way(request)
        if self._encoding and time.perf_counter() - self._stepped > self.chunk.seconds:
            self._step()
        for group in list(self._groups.values()):
            group.attempt(group.remove_cancelled)

    def _give_way(self, request: Request) -> None:
        """Leave the prompt of a batch that cannot be cut for an interactive one; between two chunks it waits anyway."""
        prompt = self._prompt
        if prompt is None or prompt.request is not request or not request.batch or prompt.divisible:
            return
        if request.interruptions < INTERRUPTIONS and any(not other.batch for other in self._waiting):
            request.interruptions += 1
            raise Cancelled

    def _recompute(self, group: DecodeGroup) -> None:
        """Answers whose cache would mean something else after the next token are run from their beginning instead.

        That is that token's step: it is sampled, and the sequence goes on in the group where it then belongs.
        """
        limit = self.loaded.family.rope_switch_length
        grown = {index: answer for index, answer in enumerate(group.answers) if answer.sequence.cached == limit}
        cancelled = {index for index, answer in grown.items() if answer.request.cancelled}
        group.remove({index: "canceled" if index in cancelled else None for index in grown})
        for index in grown.keys() - cancelled:
            answer = grown[index]
            request, ids = answer.request, answer.sequence.ids
            request.prefix = None  # what the sequence will hold then begins no prompt that is looked up
            inputs = request.prepared.inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            try:
                check = partial(self._check_cancelled, request)
                prompt = Prompt(self.runner, request, inputs, None, check)
                found = self.reclaimer.retry_after_evicting(prompt.advance)
                assert found is not None
                answer.sequence.resume(found[0])
                reason = answer.sample(found[1])
            except Cancelled:
                if request.cancelled:
                    answer.finish("canceled")
                else:
                    self._give_back(request)
                continue
            except Exception as error:
                request.post(translate(error))
                continue
            if reason is not None:
                answer.finish(reason)
            else:
                self._group(answer).add(answer)

    def _regroup(self, group: DecodeGroup) -> None:
        """Sequences that have outgrown their group's batch key go on in the group where they belong now."""
        family = self.loaded.family
        if not family.batch_key_changes or not group.answers or not group.cache.batchable:
            return
        lengths = [answer.sequence.cached for answer in group.answers]
        outgrown = {index for index, length in enumerate(lengths) if family.batch_key(length) != group.batch_key}
        for answer in group.take(outgrown):
            self._group(answer).add(answer)

    def _group(self, answer: Answer) -> DecodeGroup:
        """The group where an answer belongs whose sequence has its own cache."""
        sequence, adapter = answer.sequence, answer.request.prepared.adapter
        batch_key = self.loaded.family.batch_key(sequence.cached)
        batch = answer.request.batch
        key = (batch, adapter, batch_key, None if sequence.cache is None else sequence.cache.batch_key)
        if key not in self._groups:
            cache = self.runner.new_cache(sequence)
            self._groups[key] = DecodeGroup(self.runner, cache, adapter, batch_key, self.reclaimer, batch=batch)
        return self._groups[key]


def log(error: BaseException) -> None:
    """Tell the log of a failure."""
    LOG.error("The engine failed and was reset; all requests have ended.", exc_info=error)
