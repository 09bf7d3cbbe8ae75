"""The model behind the server, which may still be loading, and what all requests share."""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from starlette.exceptions import HTTPException

from ..errors import MediaError, MistralrsError, ModelNotFound, ShuttingDown
from ..families import require
from ..messages import MediaOptions, Message
from ..options import MediaPolicy, Sampling, ServerOptions
from ..speech.stream import TranscriptStream
from .backend import AnswerStream, Backend
from .caller import Caller
from .generation_request import GenerationRequest, SpeechRequest, ignore_unenforced, without_unread_kwargs
from .limits.memory import MemoryBudget, Reservation
from .limits.queue import ConcurrencyLimit
from .media import MediaLoader, media_policy
from .metrics import Metrics
from .response_streams import ResponseStreams

if TYPE_CHECKING:
    from ..engine import ModelInfo

Result = TypeVar("Result")
LOADING = 2**30  # bytes of decoded media while the model is loading
LARGEST = 4  # bodies of the largest size, or media not yet decoded, that are held at a time


def close_result(work: asyncio.Future[TranscriptStream]) -> None:
    """Close a stream that is there too late: its reader has left."""
    if not work.cancelled() and work.exception() is None:
        work.result().close()


class Service:
    """What all routes share. ``backend`` is ``None`` until the model is loaded."""

    def __init__(self, options: ServerOptions, name: str, running: int) -> None:
        self.options = options
        self.names = options.served_names or (name,)
        self.created = int(time.time())
        self.backend: Backend | None = None
        self.load_error: BaseException | None = None
        self.loading = f"Loading {name}"  # what goes on until the model is there
        self.keep: float | None = None  # idle seconds after which the server ends
        self.stop: Callable[[], None] = lambda: None  # has the server end
        self._users = 0  # that want it to stay although they ask nothing just now
        self.concurrency = ConcurrencyLimit(running, options.queue)
        self.media_memory = MemoryBudget(lambda: self.backend.media_bytes if self.backend else LOADING)
        self.body_memory = MemoryBudget(
            lambda: LARGEST * options.body, "The bodies of other requests take all the memory there is for bodies."
        )
        workers = max(4, os.cpu_count() or 1)
        self._workers = ThreadPoolExecutor(workers, "prepare")
        self._media = MediaLoader(options, workers, self.media_memory, self.body_memory)
        self.metrics = Metrics(
            self.name,
            stats=lambda: self.backend.stats if self.backend else None,
            in_flight=lambda: self.concurrency.in_flight,
            media_bytes=lambda: self.media_memory.held,
            stuck_threads=lambda: self._media.threads.stuck,
        )
        self.active: set[ResponseStreams] = set()
        self.draining = False

    @property
    def name(self) -> str:
        """The name that responses carry."""
        return self.names[0]

    @property
    def media_options(self) -> MediaOptions:
        """How media are decoded whose part does not say."""
        return MediaOptions(max_edge=self.options.max_edge)

    def ready(self) -> Backend:
        """The loaded model. Raises 503 while it is loading, and once it is down."""
        if self.backend is None:
            raise HTTPException(503, "The model is still loading.")
        if (failure := self.backend.stats.failure) is not None:
            raise failure
        return self.backend

    def open(self) -> Backend:
        """The model, for one more request. Raises 503 where it takes none now, or the server is shutting down."""
        if self.draining:
            raise ShuttingDown("The server is shutting down.", "Try again later.")
        backend = self.ready()
        if self._media.threads.stuck >= self._media.threads.workers:
            raise HTTPException(503, "All threads that decode media are stuck: restart the server.")
        return backend

    def check_model(self, name: str | None) -> None:
        """Raise ``ModelNotFound`` unless a request names the loaded model, or none."""
        if name not in (None, "", "default", *self.names):
            raise ModelNotFound(
                f"There is no model {name!r}; this server has {', '.join(self.names)}.",
                'Name that, or "default".',
                param="model",
            )

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do something slow in a worker thread, in the context of the request."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._workers, context.run, work)

    async def begin(
        self,
        to_request: Callable[[], GenerationRequest],
        caller: Caller,
        count: int = 1,
        decoded: Reservation | None = None,
    ) -> ResponseStreams:
        """Have the model begin with the ``count`` answers to a request.

        ``to_request`` runs in a worker thread, once the answers are admitted. ``decoded`` is the memory of its media
        where these are decoded already. Raises ``Overloaded`` where they are not,
        or where the request's media do not fit beside those of others, and whatever is wrong with the request before
        the model sees it.
        """
        backend = self.open()
        begun = time.perf_counter()
        slots = self.concurrency.acquire(count)
        reservation = decoded or Reservation(self.media_memory)
        try:
            request = await self.in_thread(to_request)
            await self.in_thread(partial(ignore_unenforced, request))
            streams = await self._streams(backend, request, caller, reservation, decoded=decoded is not None)
        except BaseException as error:
            reservation.release()
            slots.release()
            match error:
                case MistralrsError():
                    self.metrics.refused()
                case asyncio.CancelledError():
                    self.metrics.disconnected(count)
            raise
        caller.log_fields.update(request.media_counts)
        if self.options.log_requests:
            caller.log_fields["prompt"] = request.text
        begun_streams = ResponseStreams(
            request,
            streams,
            begun,
            slots,
            reservation,
            metrics=self.metrics,
            log_fields=caller.log_fields,
            log_text=self.options.log_requests,
            on_close=self.active.discard,
        )
        self.active.add(begun_streams)
        return begun_streams

    async def _streams(
        self,
        backend: Backend,
        request: GenerationRequest,
        caller: Caller,
        reservation: Reservation,
        *,
        decoded: bool,
    ) -> list[AnswerStream]:
        if caller.policy is None:
            request = without_unread_kwargs(request, backend)
        seed = self.options.seed if caller.policy is None else None
        samplings = request.sampling.per_choice(request.choices, seed)
        if request.prompts:
            return await self.in_thread(
                lambda: [backend.continue_text(prompt, one) for prompt in request.prompts for one in samplings]
            )
        if request.speech is not None:
            begin = partial(self._transcribe, backend, request.speech, samplings[0], caller)
            work = asyncio.ensure_future(self.in_thread(begin))
            try:
                return [await asyncio.shield(work)]
            except asyncio.CancelledError:  # the client has left before there was a stream to close
                work.add_done_callback(close_result)
                raise
        messages = request.messages
        if not decoded:
            messages = await self._load_media(backend.info, request, caller, reservation)
        if reservation.held:
            await reservation.take(reservation.held * (request.choices - 1))  # each is given tensors of its own
        return await self.in_thread(lambda: [backend.stream(messages, one, request.tools) for one in samplings])

    def _transcribe(
        self, backend: Backend, speech: SpeechRequest, sampling: Sampling, caller: Caller
    ) -> TranscriptStream:
        """Begin to transcribe a recording, which is decoded as it is read."""
        info = backend.info
        require(info, info.name, [speech.recording.kind])
        policy = replace(media_policy(self.options, caller.media_roots), seconds=MediaPolicy.seconds)
        try:
            return TranscriptStream(
                backend,
                speech.recording,
                info.audio_rate,
                policy,
                speech.options,
                sampling,
                model_times=info.speech_times,
            )
        except MediaError as error:
            if error.param is None:
                error.at(speech.recording.place)
            raise

    async def tokens(self, to_request: Callable[[], GenerationRequest], caller: Caller) -> list[int]:
        """The token ids of a prompt, its media included. Raises what ``begin`` does."""
        backend = self.open()
        slots = self.concurrency.acquire(1)
        reservation = Reservation(self.media_memory)
        try:
            request = without_unread_kwargs(await self.in_thread(to_request), backend)
            messages = await self._load_media(backend.info, request, caller, reservation)
            return await self.in_thread(lambda: backend.prompt_tokens(messages, request.sampling, request.tools))
        finally:
            reservation.release()
            slots.release()

    async def _load_media(
        self, info: ModelInfo, request: GenerationRequest, caller: Caller, reservation: Reservation
    ) -> tuple[Message, ...]:
        request.check_size()
        return await self.decode(request.messages, caller, info, reservation)

    async def decode(
        self, messages: tuple[Message, ...], caller: Caller, info: ModelInfo, reservation: Reservation
    ) -> tuple[Message, ...]:
        """The messages with their media fetched and decoded; ``reservation`` then holds what they take."""
        return await self._media.load(messages, caller, info, reservation, self.metrics.media_loaded)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within the block the server is not idle."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self.concurrency.last_ended = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last answer ended; 0 while the model is loading or in use."""
        return 0.0 if self._busy else time.monotonic() - self.concurrency.last_ended

    @property
    def _busy(self) -> bool:
        return self.backend is None or self._users > 0 or self.concurrency.in_flight > 0

    @property
    def expired(self) -> bool:
        """Whether it has been idle for as long as it is kept."""
        return self.keep is not None and not self._busy and self.idle >= self.keep

    def end_all(self) -> None:
        """End all running answers with an error, since the server is about to end."""
        for streams in list(self.active):
            streams.abort(ShuttingDown("The server is shutting down.", "Try again later."))

    def close(self) -> None:
        """End the model and the threads."""
        self._media.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        if self.backend is not None:
            self.backend.close()
