"""Runs batch jobs on the event loop: each line is answered as a request would be, behind all that are interactive."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from ...batch.answering import RETRIES
from ...batch.bodies import envelope
from ...batch.records import Record
from ...errors import GenerationError, MistralrsError, OptionError, first_line
from ..keys import Key
from ..service import Service
from .answer import AnswerLine, LineAnswer
from .lines import answer_line, check_input, error_line, lines, problem, transient, unanswered
from .records import OUTPUT, Batch, LineResult, Status, StoredFile
from .store import JobStore

AGAIN = 2.0  # seconds until a line is tried again that the server had no room for
SWEEP = 600.0  # seconds between two looks for files whose time is over
MONTH = 30 * 24 * 3600
NO_LIMITS = Key("", b"", "")
Say = Callable[[Mapping[str, object]], None]


class BatchRunner:
    """The batch jobs of one server. ``endpoints`` are the paths that lines may name, ``answer_line`` answers one.

    The store is opened when there is something in it, or with the first request that needs it.
    """

    def __init__(self, service: Service, endpoints: Collection[str], answer_line: AnswerLine, say: Say) -> None:
        self.service = service
        self.endpoints = endpoints
        self._answer_line = answer_line
        self._say = say
        self._store: JobStore | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self._running: Counter[str] = Counter()  # lines that are answered, by owner
        self._ended = asyncio.Event()  # one more of them has ended
        self._counting = asyncio.Lock()  # one batch at a time is counted against the limit of its key
        self._stopping = False

    def store(self) -> JobStore:
        """What is kept. Raises 404 where batch jobs are off, and ``OptionError`` where they cannot be kept."""
        options = self.service.options
        if options.batch_folder is None:
            raise HTTPException(404, "Files and batch jobs are off here: send media in the request, as /docs shows.")
        if self._stopping:
            raise HTTPException(503, "The server is shutting down.")
        if self._store is None:
            try:
                self._store = JobStore(Path(options.batch_folder).expanduser(), options.batch_disk)
            except OptionError as error:
                raise HTTPException(503, f"{error.message} {error.hint}") from error
            self._sweeping = asyncio.ensure_future(self._sweep(self._store))
            for batch in self._store.unfinished():
                self.begin(batch)
        return self._store

    def resume(self) -> None:
        """Go on with the batches of an earlier server."""
        folder = self.service.options.batch_folder
        if folder is not None and (Path(folder).expanduser() / "jobs.sqlite3").exists():
            try:
                self.store()
            except HTTPException as error:
                self._say({"event": "batches", "batches": "off", "error": str(error.detail)})

    def begin(self, batch: Batch) -> None:
        """Work on a batch until it has ended."""
        self._tasks[batch.id] = asyncio.ensure_future(self._work(batch))

    async def cancel(self, batch: Batch) -> Batch:
        """End a batch; what is answered by now is kept."""
        kept = await self._change(batch, "cancelling", end="cancelled", unless=("finalizing", "cancelling"))
        if kept.status == "cancelling" and batch.status != "cancelling":
            if (task := self._tasks.get(batch.id)) is not None:
                task.cancel()
                await asyncio.wait({task})
            self.begin(kept)
        return kept

    async def stop(self) -> None:
        """Leave everything as it is, for the next server."""
        self._stopping = True
        tasks = [*self._tasks.values(), *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._store is not None:
            self._store.close()
            self._store = None

    async def _sweep(self, store: JobStore) -> None:
        while True:
            try:
                await asyncio.to_thread(store.sweep)
            except MistralrsError as error:
                self._say({"event": "batches", "batches": "not swept", "error": first_line(error)})
            await asyncio.sleep(SWEEP)

    async def _change(self, batch: Batch, status: Status, *, unless: tuple[Status, ...] = (), **more: Any) -> Batch:
        """Give a batch another status, unless it has one of those by now."""
        now = int(time.time())
        changed = replace(batch, status=status, times={**batch.times, status: now}, **more)
        ended: tuple[Status, ...] = ("completed", "failed", "expired", "cancelled")
        kept = await asyncio.to_thread(self.store().put_batch, changed, unless=(*unless, *ended))
        self._say({"event": "batch", "batch": kept.id, "status": kept.status, "lines": kept.total})
        return kept

    async def _work(self, batch: Batch) -> None:
        """From one status to the next, until there is none. What fails unexpectedly is tried again."""
        try:
            while batch.unfinished:
                try:
                    batch = await self._advance(batch)
                except Exception as error:
                    self._say({"event": "batch", "batch": batch.id, "error": first_line(error)})
                    await asyncio.sleep(5 * AGAIN)
        finally:
            if self._tasks.get(batch.id) is asyncio.current_task():
                del self._tasks[batch.id]

    async def _advance(self, batch: Batch) -> Batch:
        store = self.store()
        match batch.status:
            case "validating":
                return await self._validate(batch)
            case "in_progress":
                left = batch.expires_at - time.time()
                try:
                    async with asyncio.timeout(left):
                        await self._answer_all(batch)
                except TimeoutError:
                    return await self._change(batch, "finalizing", end="expired", unless=("cancelling",))
                return await self._change(batch, "finalizing", unless=("cancelling",))
        if batch.end in ("expired", "cancelled"):
            await asyncio.to_thread(add_unanswered, store, batch)
        ended = await asyncio.to_thread(store.finish, batch, partial(output_file, batch))
        self._say({"event": "batch", "batch": ended.id, "status": ended.status, "lines": ended.total})
        return ended

    async def _validate(self, batch: Batch) -> Batch:
        most = self.service.options.batch_lines
        total, wrong = await asyncio.to_thread(
            check_input, self.store().content(batch.input_file_id), batch.endpoint, most
        )
        async with self._counting:
            wrong = wrong or await asyncio.to_thread(self._beyond_limit, batch, total)
            if wrong:
                return await self._change(batch, "failed", errors=tuple(wrong), total=total, unless=("cancelling",))
            name = self.service.name
            return await self._change(batch, "in_progress", total=total, model=name, unless=("cancelling",))

    def _beyond_limit(self, batch: Batch, total: int) -> list[dict[str, Any]]:
        """What is wrong with a batch whose lines are more than its key may have waiting together."""
        most = self._limits(batch.owner).batch_lines
        if most is None:
            return []
        others = [other for other in self.store().unfinished() if (other.owner, other.id) != (batch.owner, batch.id)]
        waiting = sum(
            other.total - other.counts.completed - other.counts.failed for other in others if other.owner == batch.owner
        )
        if waiting + total <= most:
            return []
        text = f"This key may have {most:,} lines waiting; {waiting:,} are, and the file has {total:,}."
        return [problem("enqueued_lines_limit", None, text)]

    async def _answer_all(self, batch: Batch) -> None:
        """Answer all lines that have no result yet, some at a time, in turn with those of other batches."""
        store = self.store()
        answered = await asyncio.to_thread(store.answered, batch)
        records = lines(store.content(batch.input_file_id))
        try:
            async with asyncio.TaskGroup() as group:
                while (record := await asyncio.to_thread(next_pending, records, answered)) is not None:
                    while not self._has_place(batch.owner):
                        self._ended.clear()
                        await self._ended.wait()
                    answering = group.create_task(self._answer(batch, record))
                    self._running[batch.owner] += 1
                    answering.add_done_callback(partial(self._give_place_back, batch.owner))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    def _has_place(self, owner: str) -> bool:
        """Whether one more line of an owner may be answered now."""
        most = self._limits(owner).batch_concurrency
        if most is not None and self._running[owner] >= most:
            return False
        return self._running.total() < max(1, self.service.concurrency.running)

    def _limits(self, owner: str) -> Key:
        """The limits of whom a batch belongs to: none where its key is no more, or keys have none."""
        keys = self.service.keys.named
        return next((key for key in keys if self.store().owner(key.owner) == owner), NO_LIMITS)

    def _give_place_back(self, owner: str, answering: asyncio.Task[None]) -> None:
        """A line has ended, or was cancelled before it began."""
        self._running[owner] -= 1
        self._ended.set()

    async def _answer(self, batch: Batch, record: Record) -> None:
        """Answer one line, and keep what came of it."""
        store, failures = self.store(), 0
        name, body = envelope(record.value, batch.endpoint)
        while True:
            request_id = uuid.uuid4().hex
            try:
                while store.full:
                    await asyncio.sleep(AGAIN)
                answer = await self._answer_line(batch, body, request_id)
                result = await asyncio.to_thread(line_result, record.number, name, answer, request_id)
            except Exception as error:
                failures += isinstance(error, GenerationError)
                if transient(error) or (errors_again(error) and failures <= RETRIES):
                    await asyncio.sleep(AGAIN)
                    continue
                line = error_line(name, error, batch.endpoint, request_id)
                result = LineResult(record.number, failed=True, line=line)
            await asyncio.to_thread(store.add_result, batch, result)
            self.service.metrics.batch_line(failed=result.failed)
            return


def line_result(number: int, name: str, answer: LineAnswer, request_id: str) -> LineResult:
    """What is kept of an answer."""
    usage = answer.usage
    return LineResult(
        number,
        failed=answer.status != 200,
        line=answer_line(name, answer.body, request_id, answer.status),
        input_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def next_pending(records: Iterator[Record], answered: set[int]) -> Record | None:
    """The next line that has no result."""
    return next((record for record in records if record.number not in answered), None)


def add_unanswered(store: JobStore, batch: Batch) -> None:
    """Keep for every line without a result that it was never answered."""
    if not batch.total:
        return
    answered = store.answered(batch)
    for record in lines(store.content(batch.input_file_id)):
        if record.number not in answered:
            store.add_result(batch, unanswered(batch, record))


def output_file(batch: Batch, name: str, filename: str, size: int) -> StoredFile:
    """A file of a batch's results."""
    now = int(time.time())
    return StoredFile(name, batch.owner, OUTPUT, filename, size, now, now + (batch.output_seconds or MONTH))


def errors_again(error: Exception) -> bool:
    """Whether the engine itself failed, not the request."""
    return isinstance(error, GenerationError) and error.http_status == 500
