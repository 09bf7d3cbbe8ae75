"""The models behind the server, which may still be loading, and what all requests share."""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..errors import (
    MediaError,
    MistralrsError,
    ModelError,
    ModelNotFound,
    OutOfMemory,
    Overloaded,
    ShuttingDown,
    first_line,
)
from ..families import require
from ..messages import Message
from ..options import MediaPolicy, ModelOptions, Sampling, ServerOptions
from ..protocol.ignored_fields import ignore_field
from ..registry import Lease, ModelEntry, ModelRegistry, ModelSpec
from ..registry.keep_alive import keep_seconds
from ..registry.registry import drop
from ..speech.stream import TranscriptStream
from .backend import AnswerStream, Backend
from .caller import Caller
from .generation_request import GenerationRequest, SpeechRequest, ignore_unenforced, without_unread_kwargs
from .keys import Keyring
from .limits.memory import MemoryBudget, Reservation
from .limits.queue import ConcurrencyLimit
from .media import MediaLoader, media_policy
from .metrics import Metrics, ModelMetrics
from .response_streams import ResponseStreams
from .served_model import ServedModel, still_loading
from .uploads import Uploaded, Uploads, no_uploads

if TYPE_CHECKING:
    from ..engine import EngineStats, ModelInfo

Result = TypeVar("Result")
Look = Callable[[Backend, GenerationRequest, tuple[Message, ...]], Result]
LOADING = 2**30  # bytes of decoded media while the model is loading
BATCH_MEDIA = 4  # batch jobs get this part of the memory for media, and take none of the others'
LARGEST = 4  # bodies of the largest size, or media not yet decoded, that are held at a time


def close_result(work: asyncio.Future[TranscriptStream]) -> None:
    """Close a stream that is there too late: its reader has left."""
    if not work.cancelled() and work.exception() is None:
        work.result().close()


def nothing_to_load(entry: ModelEntry[Backend]) -> NoReturn:
    """503: the one model of a service without a registry is given to it."""
    raise still_loading(entry.name)


def not_loaded(name: str, error: Exception) -> MistralrsError:
    """The error for a request whose model could not be loaded: that is not the request's fault."""
    what = error.message if isinstance(error, MistralrsError) else f"{type(error).__name__}: {first_line(error)}"
    kind = OutOfMemory if isinstance(error, OutOfMemory) else ModelError
    hint = error.hint if isinstance(error, MistralrsError) else None
    return kind(f"{name} could not be loaded: {what}", hint)


class Batches(Protocol):
    """The batch jobs of a server, which go on while it runs."""

    def resume(self) -> None:
        """Go on with those of an earlier server; called on the event loop."""
        ...

    async def stop(self) -> None:
        """Leave them for the next one."""
        ...


class Service:
    """What all routes share: the models, and what their requests have together.

    ``registry`` holds several models, or one, and loads them. Without one there is a single model, whose engine the
    caller gives as ``backend``. ``running`` is how many answers each model generates at once.
    """

    def __init__(
        self, options: ServerOptions, name: str, running: int, registry: ModelRegistry[Backend] | None = None
    ) -> None:
        self.options = options
        self.created = int(time.time())
        self.keys = Keyring(options.accepted_keys, options.keys_file)
        self.batches: Batches | None = None
        self.uploads = Uploads()
        self.uploaded: Callable[[Request], Uploaded] = lambda request: no_uploads
        self.registry = registry or ModelRegistry([ModelSpec(name, ModelOptions(), pinned=True)], nothing_to_load)
        self.loads = registry is not None
        self.registry.default.loading = registry is None
        self.keep: float | None = None  # idle seconds after which the server ends
        self.stop: Callable[[], None] = lambda: None  # has the server end
        self._users = 0  # that want it to stay although they ask nothing just now
        self.media_memory = MemoryBudget(self._media_bytes)
        self.batch_media_memory = MemoryBudget(lambda: self._media_bytes() // BATCH_MEDIA)
        self.body_memory = MemoryBudget(
            lambda: LARGEST * options.body, "The bodies of other requests take all the memory there is for bodies."
        )
        workers = max(4, os.cpu_count() or 1)
        self._workers = ThreadPoolExecutor(workers, "prepare")
        self._media = MediaLoader(options, workers, self.body_memory)
        self.metrics = Metrics(
            media_bytes=lambda: self.media_memory.held,
            stuck_threads=lambda: self._media.threads.stuck,
        )
        self.models = tuple(
            ServedModel(
                entry,
                options,
                options.served_names or (entry.spec.names if self.several else (name,)),
                running if registry is None else entry.spec.options.max_seqs,
                self._metrics_of,
            )
            for entry in self.registry.entries
        )
        self.active: set[ResponseStreams] = set()
        self._loading = 0  # interactive requests that wait for a model
        self.draining = False

    def _metrics_of(self, name: str, model: ServedModel) -> ModelMetrics:
        def stats() -> EngineStats | None:
            return None if model.backend is None else model.backend.stats

        return self.metrics.of_model(name, stats, lambda: model.concurrency.in_flight)

    def _media_bytes(self) -> int:
        """What the decoded media of waiting requests may take together."""
        sizes = [model.backend.media_bytes for model in self.models if model.backend is not None]
        return max(sizes, default=LOADING)

    @property
    def several(self) -> bool:
        """Whether there are several models, which are loaded when they are asked for."""
        return len(self.registry.entries) > 1

    @property
    def default(self) -> ServedModel:
        """The model that answers where none is named."""
        return next(model for model in self.models if model.entry is self.registry.default)

    @property
    def name(self) -> str:
        """The name of the default model."""
        return self.default.name

    @property
    def concurrency(self) -> ConcurrencyLimit:
        """The answers of the default model."""
        return self.default.concurrency

    @property
    def in_flight(self) -> int:
        """The answers of all models that are admitted and not ended."""
        return sum(model.concurrency.in_flight for model in self.models)

    @property
    def backend(self) -> Backend | None:
        """The engine of the default model; ``None`` until it is loaded."""
        return self.default.backend

    @backend.setter
    def backend(self, engine: Backend | None) -> None:
        self.registry.adopt(self.default.entry, engine)

    def model(self, name: str | None) -> ServedModel:
        """The model that a request names; the default where it names none. Raises ``ModelNotFound``."""
        if name in (None, "", "default"):
            return self.default
        found = self.registry.lookup(name) if self.several else None
        for model in self.models:
            if model.entry is found or name in model.names:
                return model
        known = ", ".join(each for model in self.models for each in model.names)
        raise ModelNotFound(
            f"There is no model {name!r}; this server has {known}.", 'Name that, or "default".', param="model"
        )

    def kept(self, model: ServedModel, keep_alive: str | float | None) -> float | None:
        """The idle seconds that a request wants its model to stay. Raises ``OptionError`` for what is no time."""
        if keep_alive is None:
            return None
        seconds = keep_seconds(keep_alive, "keep_alive")
        if model.entry.spec.pinned:
            ignore_field("keep_alive", f"has no effect: {model.name} always stays in memory.")
        return seconds

    def check_open(self, model: ServedModel) -> None:
        """Raise 503 where a model takes no request now: the server is shutting down, or is still starting."""
        if self.draining:
            raise ShuttingDown("The server is shutting down.", "Try again later.")
        if not self.loads or (not self.several and not model.entry.loads):
            model.ready()
        if self._media.threads.stuck >= self._media.threads.workers:
            raise HTTPException(503, "All threads that decode media are stuck: restart the server.")

    async def use(self, model: ServedModel, *, batch: bool = False) -> Lease[Backend]:
        """A lease on a model, which is loaded first if need be; cancelling gives up waiting for it.

        Raises what ``check_open`` and loading raise, 503 where it takes longer than ``load_timeout``, and
        ``EngineDown`` for an engine that has failed for good; where models are loaded by need, the next request has it
        loaded again. Lines of batch jobs give way to a model that is loaded for anything else than a ``batch``, and
        have none unloaded that is in use.
        """
        self.check_open(model)
        future = self.registry.request(model.entry, patient=batch)
        waits = not batch and not future.done()
        self._loading += waits
        try:
            if waits:
                self._interrupt_batches()
            if not future.done():
                async with asyncio.timeout(self.options.load_timeout):
                    await asyncio.shield(asyncio.wrap_future(future))
            lease = future.result()
        except TimeoutError as error:
            drop(future)
            seconds = f"{self.options.load_timeout:g} s"
            raise HTTPException(503, f"{model.name} was not loaded within {seconds}: try again later.") from error
        except ShuttingDown:
            raise
        except Exception as error:
            raise not_loaded(model.name, error) from error
        except BaseException:
            drop(future)
            raise
        finally:
            self._loading -= waits
        if (failure := lease.engine.stats.failure) is not None:
            lease.release()
            if self.several:
                self.registry.unload(model.entry)
            raise failure
        return lease

    def _interrupt_batches(self) -> None:
        """Have lines of batch jobs give up their models, which are asked again later."""
        for streams in list(self.active):
            if streams.batch:
                streams.abort(Overloaded("Another model is being loaded.", "Try again later.", retry_after=1))

    @asynccontextmanager
    async def using(self, model: ServedModel) -> AsyncIterator[Backend]:
        """A loaded model, which stays loaded within the block."""
        with await self.use(model) as lease:
            yield lease.engine

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
        *,
        model: ServedModel | None = None,
        keep: float | None = None,
    ) -> ResponseStreams:
        """Have a model, by default the default one, begin with the ``count`` answers to a request.

        It is loaded first if need be, and stays for ``keep`` idle seconds afterwards.
        ``to_request`` runs in a worker thread, once the answers are admitted. ``decoded`` is the memory of its media
        where these are decoded already. Raises ``Overloaded`` where they are not,
        or where the request's media do not fit beside those of others, and whatever is wrong with the request before
        the model sees it.
        """
        model = model or self.default
        self.check_open(model)
        begun = time.perf_counter()
        batch = caller.priority == "batch"
        slots = (model.batch_concurrency if batch else model.concurrency).acquire(count)
        reservation = decoded or Reservation(self.batch_media_memory if batch else self.media_memory)
        lease: Lease[Backend] | None = None
        try:
            lease = await self.use(model, batch=batch)
            lease.keep = keep
            request = await self.in_thread(to_request)
            if batch:
                request = replace(request, sampling=replace(request.sampling, priority=caller.priority))
            await self.in_thread(partial(ignore_unenforced, request))
            given = decoded is not None
            streams = await self._streams(model, lease.engine, request, caller, reservation, decoded=given)
        except BaseException as error:
            reservation.release()
            slots.release()
            if lease is not None:
                lease.release()
            match error:
                case MistralrsError():
                    model.metrics.refused()
                case asyncio.CancelledError():
                    model.metrics.disconnected(count)
            raise
        release = lease.release

        def ended(streams: ResponseStreams) -> None:
            self.active.discard(streams)
            release()

        caller.log_fields.update(request.media_counts)
        if self.options.log_requests:
            caller.log_fields["prompt"] = request.text
        begun_streams = ResponseStreams(
            request,
            streams,
            begun,
            slots,
            reservation,
            metrics=model.metrics,
            log_fields=caller.log_fields,
            log_text=self.options.log_requests,
            on_close=ended,
        )
        self.active.add(begun_streams)
        if self._loading:
            self._interrupt_batches()
        return begun_streams

    async def _streams(
        self,
        model: ServedModel,
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
            messages = await self._load_media(model, backend.info, request, caller, reservation)
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

    async def tokens(
        self, to_request: Callable[[], GenerationRequest], caller: Caller, model: ServedModel
    ) -> list[int]:
        """The token ids of a prompt, its media included. Raises what ``begin`` does."""
        return await self.look(
            to_request,
            caller,
            model,
            lambda backend, request, messages: backend.prompt_tokens(messages, request.sampling, request.tools),
        )

    async def look(
        self, to_request: Callable[[], GenerationRequest], caller: Caller, model: ServedModel, work: Look[Result]
    ) -> Result:
        """What ``work`` finds out about a request, given its messages with their media decoded; nothing is generated.

        Raises what ``begin`` does.
        """
        self.check_open(model)
        slots = model.concurrency.acquire(1)
        reservation = Reservation(self.media_memory)
        try:
            async with self.using(model) as backend:
                request = without_unread_kwargs(await self.in_thread(to_request), backend)
                messages = await self._load_media(model, backend.info, request, caller, reservation)
                return await self.in_thread(lambda: work(backend, request, messages))
        finally:
            reservation.release()
            slots.release()

    async def _load_media(
        self, model: ServedModel, info: ModelInfo, request: GenerationRequest, caller: Caller, reservation: Reservation
    ) -> tuple[Message, ...]:
        request.check_size()
        return await self.decode(request.messages, caller, info, reservation, model)

    async def decode(
        self,
        messages: tuple[Message, ...],
        caller: Caller,
        info: ModelInfo,
        reservation: Reservation,
        model: ServedModel,
    ) -> tuple[Message, ...]:
        """The messages with their media fetched and decoded; ``reservation`` then holds what they take."""
        return await self._media.load(messages, caller, info, reservation, model.metrics.media_loaded)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within the block the server is not idle."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self.touch()

    def touch(self) -> None:
        """Begin to count idle seconds from 0 again."""
        self.concurrency.last_ended = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last answer ended; 0 while the model is loading or in use."""
        last = max(model.concurrency.last_ended for model in self.models)
        return 0.0 if self._busy else time.monotonic() - last

    @property
    def _busy(self) -> bool:
        starting = not self.several and self.backend is None
        return starting or self._users > 0 or self.in_flight > 0

    @property
    def expired(self) -> bool:
        """Whether it has been idle for as long as it is kept."""
        return self.keep is not None and not self._busy and self.idle >= self.keep

    def end_all(self) -> None:
        """End all running answers with an error, since the server is about to end."""
        for streams in list(self.active):
            streams.abort(ShuttingDown("The server is shutting down.", "Try again later."))
        self.registry.refuse()

    def close(self) -> None:
        """End the model and the threads."""
        self._media.close()
        self.uploads.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self.registry.close()
