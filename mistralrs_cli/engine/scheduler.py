"""The one thread that owns the model: requests join and leave the running groups between two tokens."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from queue import Empty, SimpleQueue

import torch

from ..errors import EngineDown, GenerationError, OutOfMemory, first_line
from ..events import Done, Timing, Usage
from ..loading import LoadedModel
from ..options import KVCacheType
from .answer import Answer
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


class Scheduler:
    """Prefills one prompt at a time, in chunks where others are answered, and lets every group decode one token.

    Sequences share a group where the family's ``batch_key`` says so and their caches can be batched; others get a
    group of their own, and all groups take turns. ``report`` is called with failures that end all requests.
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
        reclaimer.releases.append(self.runner.release)
        self._inbox: SimpleQueue[Request | None] = SimpleQueue()
        self._waiting: deque[Request] = deque()
        self._prompt: Prompt | None = None  # the one that is being prefilled
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
        prompt = self._prompt  # looked at first: it is left once its answer is in a group, and counts once
        found = {id(answer.request) for group in list(self._groups.values()) for answer in list(group.answers)}
        return len(found if prompt is None else found | {id(prompt.request)})

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

    def _turn(self) -> None:
        """One iteration: who came, who left, some of the next prompt, and a token for every answer."""
        self._receive()
        self._drop_cancelled()
        self._admit()
        if self._prompt is not None:
            self._advance(self._prompt)
        self._step()

    def _step(self) -> None:
        """A token for every answer."""
        begun = time.perf_counter()
        for key, group in list(self._groups.items()):
            group.attempt(partial(self._recompute, group))
            group.attempt(partial(self._regroup, group))
            group.attempt(group.step)
            if not group.answers:
                del self._groups[key]
        if self._groups:
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
        self._open, self._groups, self._prompt = [], {}, None
        self._waiting.clear()
        for request in ending:
            try:
                request.fail(error)
            except Exception as second:  # of the caller's ``wake``; the others have to hear of it all the same
                self._report(second)
        return len(ending)

    def _receive(self, *, block: bool = True) -> None:
        """Take what has arrived, and wait for it where there is nothing else to do."""
        idle = block and not self._groups and not self._waiting and self._prompt is None
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
        if request.cancelled:
            request.post(Done("canceled", Usage(request.prepared.prompt_tokens), Timing()))
        else:
            self._waiting.appendleft(request)

    def _admit(self) -> None:
        """Take the next request's prompt, if one more may run and there is memory for it.

        First come, first served: a long request gets its turn once enough others have ended.
        """
        if self._prompt is not None or not self._waiting or self.running >= self.max_rows:
            return
        running = [answer.longest for group in self._groups.values() for answer in group.answers]
        if not self.budget.admits(running, self._waiting[0].longest):
            return
        request = self._waiting.popleft()
        try:
            self.budget.check(request.prepared.prompt_tokens)
        except OutOfMemory as error:
            request.post(error)
        else:
            self._prompt = self._prompt_of(request)

    def _prompt_of(self, request: Request) -> Prompt:
        request.prefilling = time.perf_counter()
        reuse = None
        if request.plan is not None and request.prefix is not None:
            reuse = self.reclaimer.prefixes.take(request.prefix, request.plan)
        request.plan = None
        request.cached = 0 if reuse is None else reuse.tokens
        check = partial(self._check_cancelled, request)
        return Prompt(self.runner, request, request.prepared.inputs, reuse, check)

    def _advance(self, prompt: Prompt) -> None:
        """Prefill a chunk of the prompt, or all that is left where no other answer is decoded."""
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
            request.post(translate(error))
        else:
            if ended is not None:
                try:
                    self._answer(request, *ended)
                finally:
                    self._prompt = None

    def _prefill(self, prompt: Prompt) -> tuple[SequenceState, torch.Tensor] | None:
        """The next part of a prompt. After the last one its sequence and logits."""
        alone = not self._groups
        if not prompt.begun:
            self._encode(prompt)
            if prompt.request.prepared.media and not alone:
                return None  # the others' turn
        begun, left = time.perf_counter(), prompt.left
        ended = self.reclaimer.retry_after_evicting(lambda: prompt.advance(None if alone else self.chunk.tokens))
        self.chunk.prefilled(left if ended is not None else left - prompt.left, time.perf_counter() - begun)
        return ended

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
            if self.loaded.family.rope_switch_length is None:
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
        if self._encoding and time.perf_counter() - self._stepped > self.chunk.seconds:
            self._step()
        for group in list(self._groups.values()):
            group.attempt(group.remove_cancelled)

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
        key = (adapter, batch_key, None if sequence.cache is None else sequence.cache.batch_key)
        if key not in self._groups:
            cache = self.runner.new_cache(sequence)
            self._groups[key] = DecodeGroup(self.runner, cache, adapter, batch_key, self.reclaimer)
        return self._groups[key]


def log(error: BaseException) -> None:
    """Tell the log of a failure."""
    LOG.error("The engine failed and was reset; all requests have ended.", exc_info=error)
