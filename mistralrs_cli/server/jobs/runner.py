"""Runs batch jobs on the event loop: each line is answered as a request would be, behind all that are interactive."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

from ...batch.answering import RETRIES
from ...batch.bodies import envelope
from ...batch.records import Record
from ...batch.written import line as json_line
from ...errors import GenerationError, MistralrsError, OptionError, first_line
from ...protocol.ignored_fields import IGNORED, IgnoredFields
from ..caller import Caller
from ..exchange import Interface, whole
from ..http.auth import allowed_roots
from ..http.body import Fields
from ..service import Service
from .lines import answer_line, check_input, error_line, lines, transient, unanswered
from .records import OUTPUT, Batch, LineResult, Status, StoredFile
from .store import JobStore

AGAIN = 2.0  # seconds until a line is tried again that the server had no room for
SWEEP = 600.0  # seconds between two looks for files whose time is over
MONTH = 30 * 24 * 3600
Result = TypeVar("Result")
Say = Callable[[Mapping[str, object]], None]


class BatchRunner:
    """The batch jobs of one server. ``interfaces`` are the endpoints that lines may name, by path.

    The store is opened when there is something in it, or with the first request that needs it.
    """

    def __init__(self, service: Service, interfaces: Mapping[str, Interface[Any]], say: Say) -> None:
        self.service = service
        self.interfaces = interfaces
        self._say = say
        self._store: JobStore | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self._places = asyncio.Semaphore(service.concurrency.running)  # lines that are answered at a time
        self._preparing = asyncio.Semaphore(1)  # so that no more than one thread's time goes into their media
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
        if wrong:
            return await self._change(batch, "failed", errors=tuple(wrong), total=total, unless=("cancelling",))
        return await self._change(batch, "in_progress", total=total, model=self.service.name, unless=("cancelling",))

    async def _answer_all(self, batch: Batch) -> None:
        """Answer all lines that have no result yet, some at a time, in turn with those of other batches."""
        store = self.store()
        answered = await asyncio.to_thread(store.answered, batch)
        records = lines(store.content(batch.input_file_id))
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._places.acquire()
                    record = None
                    try:
                        record = await asyncio.to_thread(next_pending, records, answered)
                    finally:
                        if record is None:
                            self._places.release()
                    if record is None:
                        break
                    group.create_task(self._in_place(self._answer(batch, record)))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _in_place(self, work: Awaitable[None]) -> None:
        try:
            await work
        finally:
            self._places.release()

    async def _answer(self, batch: Batch, record: Record) -> None:
        """Answer one line, and keep what came of it."""
        store, failures = self.store(), 0
        name, body = envelope(record.value, batch.endpoint)
        while True:
            request_id = uuid.uuid4().hex
            try:
                while store.full:
                    await asyncio.sleep(AGAIN)
                result = await self._respond(batch, record.number, name, body, request_id)
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

    async def _respond(
        self, batch: Batch, number: int, name: str, value: Mapping[str, Any], request_id: str
    ) -> LineResult:
        service = self.service
        interface = self.interfaces[batch.endpoint]
        IGNORED.set(IgnoredFields(strict=service.options.strict))
        form: type[Fields] = interface.body
        async with self._preparing:
            body = await asyncio.to_thread(form.read_json, json_line(value))
            model = service.model(getattr(body, "model", None))
            caller = Caller(allowed_roots(service.options, local=batch.local_files), priority="batch")
            to_request = partial(interface.to_request, body, model)
            streams = await service.begin(to_request, caller, interface.count(body), model=model)
        response = await whole(body, model.name, interface, streams)
        usage = streams.total().usage
        return LineResult(
            number,
            failed=False,
            line=await asyncio.to_thread(answer_line, name, response, request_id),
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
