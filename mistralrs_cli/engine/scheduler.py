"""The one thread that owns the model: requests join and leave the running batches between two tokens."""

from __future__ import annotations

import atexit
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from queue import Empty, SimpleQueue

import torch

from ..errors import GenerationError, MistralrsError, OutOfMemory, first_line
from ..events import Done, Timing, Usage
from ..loading import LoadedModel
from .batch import Batch
from .cache_layers import joinable
from .request import Answer, Request
from .row import prefill

OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory", re.IGNORECASE)  # the CPU's words, and Metal's


class Lane:
    """A batch and the answers its rows belong to, in the same order."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.batch = Batch(loaded.model)
        self.answers: list[Answer] = []

    def join(self, answer: Answer) -> None:
        """Let one more answer decode along."""
        self.answers.append(answer)
        self.batch.join(answer.row)

    def leave(self, leaving: set[int]) -> None:
        """Drop the answers with these indices."""
        if leaving:
            self.batch.leave(leaving)
            self.answers = [answer for index, answer in enumerate(self.answers) if index not in leaving]

    def step(self) -> None:
        """One token for every answer; who has ended or failed leaves."""
        self.leave({index for index, answer in enumerate(self.answers) if cancelled(answer)})
        if self.answers:
            logits = self.batch.step()
            ended = (draws_last(answer, logits[index : index + 1]) for index, answer in enumerate(self.answers))
            self.leave({index for index, last in enumerate(ended) if last})

    def attempt(self, move: Callable[[], None]) -> None:
        """Join or step; where that fails halfway the rows cannot be trusted any more, and all of them fail."""
        try:
            move()
        except Exception as error:
            self.fail(translate(error))

    def fail(self, error: MistralrsError) -> None:
        """End every answer with an error."""
        for answer in self.answers:
            answer.request.outbox.put(error)
        self.answers = []


def cancelled(answer: Answer) -> bool:
    """Whether the caller has left; its answer is closed then."""
    return answer.request.cancelled and answer.finish("canceled")


def draws_last(answer: Answer, logits: torch.Tensor) -> bool:
    """Draw a token; true when it was the last, or when drawing failed, which concerns this answer alone."""
    try:
        return answer.draw(logits)
    except Exception as error:
        answer.request.outbox.put(translate(error))
        return True


class Scheduler:
    """Admits one request an iteration, then lets every lane decode one token.

    Rows share a lane where the family's ``batch_key`` says so and the cache can be joined; others get a lane of their
    own, and all lanes take turns.
    """

    def __init__(self, loaded: LoadedModel, max_rows: int) -> None:
        self.loaded = loaded
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
        with torch.inference_mode():
            while not self._closing:
                self._receive()
                self._dismiss()
                self._admit()
                for key, lane in list(self._lanes.items()):
                    lane.attempt(lane.step)
                    if not lane.answers:
                        del self._lanes[key]
        self._receive(block=False)
        closed = GenerationError("The engine was closed before the answer ended.")
        for lane in self._lanes.values():
            lane.fail(closed)
        for request in self._waiting:
            request.outbox.put(closed)

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
            request.outbox.put(Done("canceled", Usage(request.prepared.prompt_tokens), Timing()))

    def _admit(self) -> None:
        """Prefill the next request, if a row is free."""
        if not self._waiting or self.running >= self.max_rows:
            return
        request = self._waiting.popleft()
        try:
            answer, ended = self._begin(request)
        except Exception as error:
            request.outbox.put(translate(error))
            return
        if not ended:
            lane = self._lane(answer)
            lane.attempt(partial(lane.join, answer))

    def _begin(self, request: Request) -> tuple[Answer, bool]:
        generator = None
        if not request.warping.greedy:
            generator = torch.Generator(self.loaded.device)
            seed = request.sampling.seed
            generator.manual_seed(seed if seed is not None else secrets.randbits(63))
        arguments = request.warping.arguments() | {"max_new_tokens": request.limit}
        row, logits = prefill(self.loaded.model, request.prepared.inputs, arguments, request.processors, generator)
        request.prepared.inputs.clear()  # pixels and samples have done their work
        answer = Answer(request, row, self.loaded.end_tokens)
        return answer, answer.draw(logits)

    def _lane(self, answer: Answer) -> Lane:
        row = answer.row
        key: Hashable = object()
        if row.cache is not None and joinable(row.cache):
            key = self.loaded.family.batch_key(row.prompt_tokens)
        if key not in self._lanes:
            self._lanes[key] = Lane(self.loaded)
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
