"""The one thread that owns the model: requests join and leave the running batches between two tokens."""

from __future__ import annotations

import atexit
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import torch

from ..errors import GenerationError, MistralrsError, OutOfMemory, first_line
from ..events import Done, FinishReason, Timing, Usage
from ..loading import LoadedModel
from .batch import Batch
from .budget import Budget
from .cache_layers import across_lengths, joinable
from .encoder_cache import EncoderCache
from .prefix import PrefixStore, Reuse
from .request import Answer, Request
from .row import Row, prefill
from .stored_cache import croppable, extract

OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory", re.IGNORECASE)  # the CPU's words, and Metal's


class Lane:
    """A batch, the answers its rows belong to, in the same order, and the mode in which the model must run them.

    ``group`` is the ``batch_key`` that its rows had when they came.
    """

    def __init__(self, loaded: LoadedModel, mode: Hashable, group: Hashable, prefixes: PrefixStore) -> None:
        self.loaded = loaded
        self.mode = mode
        self.group = group
        self.batch = Batch(loaded.model)
        self.prefixes = prefixes
        self.answers: list[Answer] = []

    def join(self, answer: Answer) -> None:
        """Let one more answer decode along."""
        self.answers.append(answer)
        self.batch.join(answer.row)

    def leave(self, leaving: Mapping[int, FinishReason | None]) -> None:
        """Drop the answers with these indices, and end those that have a reason.

        What they hold is kept first: who reads the end may send the next turn at once.
        """
        if leaving:
            for index, reason in leaving.items():
                answer = self.answers[index]
                keep(answer, self.batch.cache, index, self.prefixes)
                if reason is not None:
                    answer.finish(reason)
            self.batch.leave(set(leaving))
            self.answers = [answer for index, answer in enumerate(self.answers) if index not in leaving]

    def part(self, leaving: set[int]) -> list[Answer]:
        """Let these answers go, each with its cache, to join another lane."""
        parting = [self.answers[index] for index in sorted(leaving)]
        for index in leaving:
            row = self.answers[index].row
            row.cache = extract(self.batch.cache, index, row.cached).cache
        if leaving:
            self.batch.leave(leaving)
            self.answers = [answer for index, answer in enumerate(self.answers) if index not in leaving]
        return parting

    def step(self) -> None:
        """One token for every answer; who has ended or failed leaves."""
        self.leave({index: "canceled" for index, answer in enumerate(self.answers) if answer.request.cancelled})
        if self.answers:
            self.loaded.family.enter(self.loaded.model, self.mode)
            logits = self.batch.step()
            self.leave(self.draw(logits))

    def draw(self, logits: torch.Tensor) -> dict[int, FinishReason | None]:
        """Draw a token for every answer from ``logits`` float32 [answers, vocabulary]; which have ended, and why.

        Drawing that fails concerns one answer alone: it is told, and has no reason.
        """
        ended: dict[int, FinishReason | None] = {}
        for index, answer in enumerate(self.answers):
            try:
                reason = answer.draw(logits[index : index + 1])
            except Exception as error:
                answer.request.post(translate(error))
                ended[index] = None
            else:
                if reason is not None:
                    ended[index] = reason
        return ended

    def attempt(self, move: Callable[[], None]) -> None:
        """Join or step; where that fails halfway the rows cannot be trusted any more, and all of them fail."""
        try:
            move()
        except Exception as error:
            self.fail(translate(error))

    def fail(self, error: MistralrsError) -> None:
        """End every answer with an error."""
        for answer in self.answers:
            answer.request.post(error)
        self.answers = []


def keep(answer: Answer, cache: Any, index: int, prefixes: PrefixStore) -> None:
    """Keep what row ``index`` of a cache holds for prompts that go on from there."""
    prefix, row = answer.request.prefix, answer.row
    if prefix is not None and prefixes.entries and joinable(cache):
        prefixes.keep(prefix.extended(row.ids[0, : row.cached].tolist()), extract(cache, index, row.cached))


class Scheduler:
    """Admits one request an iteration, then lets every lane decode one token.

    Rows share a lane where the family's ``batch_key`` says so and the cache can be joined; others get a lane of their
    own, and all lanes take turns.
    """

    def __init__(
        self, loaded: LoadedModel, max_rows: int, prefixes: PrefixStore, encoded: EncoderCache, budget: Budget
    ) -> None:
        self.loaded = loaded
        self.budget = budget
        self.prefixes = prefixes
        self.encoded = encoded
        self.max_rows = max_rows
        self._inbox: SimpleQueue[Request | None] = SimpleQueue()
        self._waiting: deque[Request] = deque()
        self._lanes: dict[Hashable, Lane] = {}
        self._closing = False
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
        self.encoded.attend()
        with torch.inference_mode():
            while not self._closing:
                self._receive()
                self._dismiss()
                self._admit()
                for key, lane in list(self._lanes.items()):
                    self._recompute(lane)
                    lane.attempt(partial(self._regroup, lane))
                    lane.attempt(lane.step)
                    if not lane.answers:
                        del self._lanes[key]
        self._receive(block=False)
        closed = GenerationError("The engine was closed before the answer ended.")
        for lane in self._lanes.values():
            lane.fail(closed)
        for request in self._waiting:
            request.post(closed)
        self.prefixes.clear()
        self.encoded.clear()

    def _receive(self, *, block: bool = True) -> None:
        """Take what has arrived, and wait for it where there is nothing else to do."""
        idle = block and not self._lanes and not self._waiting
        while True:
            try:
                request = self._inbox.get(block=idle)
            except Empty:
                return
            if request is not None:
                self._waiting.append(request)
            idle = False

    def _dismiss(self) -> None:
        """Let go of waiting requests that were closed; another thread of the caller may still be reading one."""
        for request in [request for request in self._waiting if request.cancelled]:
            self._waiting.remove(request)
            request.post(Done("canceled", Usage(request.prepared.prompt_tokens), Timing()))

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
        except Exception as error:
            request.post(translate(error))
            return
        if not ended:
            lane = self._lane(answer)
            lane.attempt(partial(lane.join, answer))

    def _begin(self, request: Request) -> tuple[Answer, bool]:
        self.budget.check(request.prepared.prompt_tokens)
        generator = None
        if not request.warping.greedy:
            generator = torch.Generator(self.loaded.device)
            seed = request.sampling.seed
            generator.manual_seed(seed if seed is not None else secrets.randbits(63))
        row, logits = self._prefill(request, request.prepared.inputs, generator, request.reuse)
        if row.cache is not None and joinable(row.cache):
            self.budget.learn(row.cache, row.cached)
        if self.loaded.family.recompute_at is None:
            request.prepared.inputs.clear()  # pixels and samples have done their work
        answer = Answer(request, row, self.loaded.end_tokens)
        reason = answer.draw(logits)
        if reason is not None or not croppable(row.cache):  # else what the whole answer leaves can be cut back
            keep(answer, row.cache, 0, self.prefixes)
        if reason is not None:
            answer.finish(reason)
        return answer, reason is not None

    def _prefill(
        self,
        request: Request,
        inputs: dict[str, Any],
        generator: torch.Generator | None,
        reuse: Reuse | None = None,
    ) -> tuple[Row, torch.Tensor]:
        """Run a prompt in its mode."""
        self.loaded.family.enter(self.loaded.model, request.prepared.mode)
        arguments = request.warping.arguments() | {"max_new_tokens": request.limit}
        return prefill(self.loaded.model, inputs, arguments, request.processors, generator, reuse)

    def _recompute(self, lane: Lane) -> None:
        """Answers whose cache would mean something else after the next token are run from their beginning instead.

        That is that token's step: it is drawn, and the row goes on in the lane where it then belongs.
        """
        limit = self.loaded.family.recompute_at
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
            except Exception as error:
                request.post(translate(error))
                continue
            if reason is not None:
                answer.finish(reason)
            else:
                joined = self._lane(answer)
                joined.attempt(partial(joined.join, answer))

    def _regroup(self, lane: Lane) -> None:
        """Rows that have grown out of their lane go on in the one where they belong now."""
        family = self.loaded.family
        if not family.regroups or not lane.answers or not joinable(lane.batch.cache):
            return
        grown = {i for i, answer in enumerate(lane.answers) if family.batch_key(answer.row.cached) != lane.group}
        for answer in lane.part(grown):
            joined = self._lane(answer)
            joined.attempt(partial(joined.join, answer))

    def _lane(self, answer: Answer) -> Lane:
        row, mode = answer.row, answer.request.prepared.mode
        key: Hashable = object()
        group = self.loaded.family.batch_key(row.cached)
        if row.cache is not None and joinable(row.cache):
            key = (mode, group, across_lengths(row.cache))
        if key not in self._lanes:
            self._lanes[key] = Lane(self.loaded, mode, group, self.prefixes)
        return self._lanes[key]


def translate(error: Exception) -> MistralrsError:
    """An error of the model as one of ours, with its cause."""
    if isinstance(error, MistralrsError):
        return error
    ours: MistralrsError
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or OUT_OF_MEMORY.search(str(error)):
        ours = OutOfMemory(
            "There is not enough memory for this request.", "Send fewer or smaller media, or use --quant 4."
        )
    else:
        ours = GenerationError(
            f"The model failed while answering: {first_line(error)}", "MISTRALRS_DEBUG=1 shows the whole story."
        )
    ours.__cause__ = error
    return ours
