"""The model behind the server: it loads while the server is up already, and answers questions as events."""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..errors import MistralrsError, ModelNotFound, ShuttingDown
from ..messages import DecodedMedia, MediaBytes, MediaOptions, Message, media_of
from ..options import SERVER_DECODE_SECONDS, SERVER_DECODED, SERVER_PIXELS, SERVER_SECONDS, MediaPolicy, ServerOptions
from .generation_request import (
    GenerationRequest,
    check_counts,
    check_kinds,
    check_unpacked,
    counted,
    decoded,
    fetched,
    heard,
    ignore_unenforced,
    is_remote,
    needed,
    unpacked,
    with_media,
)
from .http.auth import media_roots
from .limits.memory import MemoryBudget, Reservation
from .limits.queue import ConcurrencyLimit
from .limits.threads import MediaThreads
from .metrics import Metrics
from .response_streams import ResponseStreams

if TYPE_CHECKING:
    from ..engine import Engine, EventStream

Result = TypeVar("Result")
LARGEST = 4  # bodies of the largest size, or media not yet decoded, that are kept at a time
MOST_NAMED = 1000  # fields that are passed over and named in the log
DOWNLOADS = 32  # at a time; each waits for the network, not for a processor


class Service:
    """What all routes share. ``engine`` is there once the model is loaded."""

    def __init__(self, options: ServerOptions, name: str, rows: int) -> None:
        self.options = options
        self.names = options.served_names or (name,)
        self.created = int(time.time())
        self.engine: Engine | None = None
        self.concurrency = ConcurrencyLimit(rows, options.queue)
        self.room = MemoryBudget(lambda: self.engine.media_bytes if self.engine else 0)
        self.bodies = MemoryBudget(
            lambda: LARGEST * options.body, "What others have sent takes all the memory there is for it."
        )
        self.metrics = Metrics(self)
        self.answering: set[ResponseStreams] = set()
        self._named: set[str] = set()
        self._downloads = ThreadPoolExecutor(DOWNLOADS, "download")
        workers = max(4, os.cpu_count() or 1)
        self._workers = ThreadPoolExecutor(workers, "prepare")
        self._media = MediaThreads(workers, "media")
        self.draining = False

    @property
    def name(self) -> str:
        """The name that responses carry."""
        return self.names[0]

    @property
    def media_options(self) -> MediaOptions:
        """How media are read that do not say."""
        return MediaOptions(max_edge=self.options.max_edge)

    def ready(self) -> Engine:
        """The engine. Raises 503 while the model is loading, and once the engine is down."""
        if self.engine is None:
            raise HTTPException(503, "The model is still loading.")
        if self.engine.failure is not None:
            raise self.engine.failure
        return self.engine

    def open(self) -> Engine:
        """The engine, for one more question. Raises 503 where there is none to be asked now, or the server ends."""
        if self.draining:
            raise ShuttingDown("The server is shutting down.", "Ask again later.")
        engine = self.ready()
        if self._media.stuck >= self._media.workers:
            raise HTTPException(503, "Reading media does not come to an end: restart the server.")
        return engine

    @property
    def stuck(self) -> int:
        """Threads that read a medium and do not come back."""
        return self._media.stuck

    def check_model(self, name: str | None) -> None:
        """Raise ``ModelNotFound`` unless a request names the loaded model, or none."""
        if name not in (None, "", "default", *self.names):
            raise ModelNotFound(
                f"There is no model {name!r}; this server has {', '.join(self.names)}.",
                'Name that, or "default".',
                param="model",
            )

    def policy(self, roots: tuple[str, ...] | None) -> MediaPolicy:
        """Where the media of a request may come from: of the network, the public part alone."""
        return MediaPolicy(
            local_roots=roots,
            private_addresses=False,
            domains=self.options.media_domains,
            max_bytes=self.options.body,
            pixels=SERVER_PIXELS,
            seconds=SERVER_SECONDS,
            decode_seconds=SERVER_DECODE_SECONDS,
            pipes=False,
        )

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do something slow in a worker thread, in the context of the request."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._workers, context.run, work)

    def first_ignored(self, name: str) -> bool:
        """Whether the log has not named this passed-over field yet; it names each once, and so many at most."""
        if name in self._named or len(self._named) >= MOST_NAMED:
            return False
        self._named.add(name)
        return True

    async def begin(
        self, request: Request, to_request: Callable[[], GenerationRequest], choices: int = 1
    ) -> ResponseStreams:
        """Read a question and its media, and let the engine begin with its answers.

        ``to_request`` makes the question, in a worker thread. Raises whatever is wrong with the question, before the
        model sees it, and ``Overloaded`` before anything is read, or where its media do not fit beside those of others.
        """
        engine = self.open()
        arrived = time.perf_counter()
        leave = self.concurrency.acquire(choices)
        share = Reservation(self.room)
        try:
            question = await self.in_thread(to_request)
            await self.in_thread(partial(ignore_unenforced, question, request.state))
            policy = self.policy(media_roots(request, self.options))
            streams = await self._streams(engine, question, policy, share)
        except BaseException as error:
            share.release()
            leave(None)
            match error:
                case MistralrsError():
                    self.metrics.refused()
                case asyncio.CancelledError():
                    self.metrics.left(choices)
            raise
        answers = ResponseStreams(self, streams, arrived, leave, share)
        answers.log_fields |= counted(question.messages)
        request.state.log_fields = answers.log_fields
        if self.options.log_requests:
            answers.log_fields["asked"] = question.words
        self.answering.add(answers)
        return answers

    async def _streams(
        self, engine: Engine, question: GenerationRequest, policy: MediaPolicy, share: Reservation
    ) -> list[EventStream]:
        question = heard(question, engine)
        samplings = question.sampling.per_choice(question.choices, self.options.seed)
        if question.prompts:
            return await self.in_thread(
                lambda: [
                    engine.continue_text(prompt, sampling) for prompt in question.prompts for sampling in samplings
                ]
            )
        whole = await self._with_media(engine, question, policy, share)
        if share.held:
            await share.take(share.held * (question.choices - 1))  # each is given tensors of its own
        return await self.in_thread(lambda: [engine.stream(whole, sampling, question.tools) for sampling in samplings])

    async def tokens(self, request: Request, to_request: Callable[[], GenerationRequest]) -> list[int]:
        """The tokens of a prompt, its media included. Raises what ``begin`` does."""
        engine = self.open()
        leave = self.concurrency.acquire(1)
        share = Reservation(self.room)
        try:
            question = await self.in_thread(to_request)
            policy = self.policy(media_roots(request, self.options))
            question = heard(question, engine)
            whole = await self._with_media(engine, question, policy, share)
            return await self.in_thread(lambda: engine.prompt_tokens(whole, question.sampling, question.tools))
        finally:
            share.release()
            leave(None)

    async def _with_media(
        self, engine: Engine, question: GenerationRequest, policy: MediaPolicy, share: Reservation
    ) -> tuple[Message, ...]:
        """The messages with their media decoded, once it is clear that there are not too many and of no other kind.

        Each waits until there is memory for it, of which ``share`` then holds as much as they all take.
        """
        messages = question.messages
        check_counts(messages, self.options, question.tools)
        check_kinds(messages, engine.loaded.family, engine.loaded.name)
        begun = time.perf_counter()
        media: list[DecodedMedia] = []
        family = engine.loaded.family
        loop = asyncio.get_running_loop()
        packed = Reservation(self.bodies)
        try:
            for medium in media_of(messages):
                if is_remote(medium):
                    found = await loop.run_in_executor(self._downloads, fetched, medium, policy)
                else:
                    found = await self._media.run(medium, fetched, medium, policy)
                await packed.take(len(found.data) if isinstance(found, MediaBytes) else 0)
                size = await self._media.run(medium, needed, found, policy, family, self.room.free)
                await share.take(size)
                media.append(await self._media.run(medium, decoded, found, policy, family))
                packed.release()
                share.resize(sum(map(unpacked, media)))
                check_unpacked(media, SERVER_DECODED)
        finally:
            packed.release()
        if media:
            self.metrics.decoded(time.perf_counter() - begun)
        return with_media(messages, media)

    def end_all(self) -> None:
        """End all running answers with an error, since the server is about to end."""
        for answers in list(self.answering):
            answers.abort(ShuttingDown("The server is shutting down.", "Ask again later."))

    def close(self) -> None:
        """Let go of model and threads."""
        self._downloads.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._media.close()
        if self.engine is not None:
            self.engine.close()
