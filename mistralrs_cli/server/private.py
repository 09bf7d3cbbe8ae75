"""What this user's own processes may ask beside the public interface: exact values in, exact events out.

The paths below ``/engine/`` are served on a Unix socket in the user's runtime folder, and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..attach.codec import plain_error, to_plain, unpacked
from ..attach.connection import PATIENCE
from ..errors import MistralrsError, ShuttingDown
from ..events import Done
from ..families import require
from ..media.labels import notes_on
from ..messages import Message, decoded_media, media_of
from ..options import SPEECH_TASK, Sampling, SpeechTask
from ..registry.registry import drop
from .backend import Backend
from .caller import Caller
from .generation_request import GenerationRequest
from .http.middleware import Log, RequestMiddleware
from .http.sse import KEEP_ALIVE, EventStreamResponse, event
from .limits.memory import Reservation
from .served_model import ServedModel
from .service import Service

if TYPE_CHECKING:
    from ..loading import Checkpoint

Line = dict[str, Any]
BEAT = PATIENCE / 5  # seconds of silence after which a comment says that the process is well
POLL = 0.02  # seconds between two looks at a model that is loading
CALLS = ("count", "report", "sampling_params")
"""Methods of an engine that another process may call."""


def create_private_app(
    public: RequestMiddleware,
    service: Service,
    checkpoint: Checkpoint,
    log: Log,
    max_images: int | None = None,
    *,
    model: ServedModel | None = None,
) -> ASGIApp:
    """The public app without keys, and the paths of this module for one model, by default the default one."""
    options = replace(service.options, api_keys=(), keys_file=None, root_path="")
    routes = EngineRoutes(public.app, service, model or service.default, checkpoint, log, max_images)
    return RequestMiddleware(routes, options, service.body_memory, service.metrics.responded, log)


class EngineRoutes:
    """The paths below ``/engine/``; all others are the public app's."""

    def __init__(
        self,
        public: ASGIApp,
        service: Service,
        model: ServedModel,
        checkpoint: Checkpoint,
        log: Log,
        max_images: int | None,
    ) -> None:
        self.public = public
        self.service = service
        self.model = model
        self.checkpoint = checkpoint
        self.max_images = max_images
        self.log = log
        self.handlers: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/engine/stream": self.stream,
            "/engine/ready": self.ready,
            "/engine/hold": self.hold,
            "/engine/call": self.call,
            "/engine/status": self.status,
            "/engine/unload": self.unload,
            "/engine/stop": self.stop,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        handler = self.handlers.get(scope["path"])
        if handler is None:
            await self.public(scope, receive, send)
            return
        if self.service.several:
            scope["state"]["log_fields"] = {"model": self.model.name}
        response = await handler(Request(scope, receive))
        await response(scope, receive, send)

    async def stream(self, request: Request) -> Response:
        """Answer a conversation: what goes on until the first event, then the events."""
        asked = unpacked(await request.body())
        self.keep(asked)
        return self.lines(self.answer(asked))

    async def ready(self, request: Request) -> Response:
        """Say when the model is loaded, and what is known of it."""
        self.keep(unpacked(await request.body()))
        return self.lines(self.loaded())

    async def hold(self, request: Request) -> Response:
        """Stay while the connection does."""
        return self.lines(self.held(), KEEP_ALIVE)

    async def call(self, request: Request) -> Response:
        """Call a method of the engine."""
        return self.lines(self.called(unpacked(await request.body())))

    async def status(self, request: Request) -> Response:
        """What it does now."""
        service, model, backend = self.service, self.model, self.model.backend
        stats = None if backend is None else backend.stats
        without = "unloaded" if service.several and model.entry.status == "unloaded" else "loading"
        return JSONResponse(
            {
                "state": without if stats is None else "failed" if stats.failure else "ready",
                "running": model.concurrency.in_flight,
                "requests": model.concurrency.admitted,
                "idle": round(service.idle, 3),
                "keep": service.keep,
                "memory": memory(),
                "device": None if backend is None else backend.info.device,
                "dtype": None if backend is None else backend.info.dtype,
            }
        )

    async def unload(self, request: Request) -> Response:
        """Take this model out of memory, once what it is answering is done; a request loads it again."""
        self.service.registry.unload(self.model.entry)
        return JSONResponse({"status": self.model.entry.status})

    async def stop(self, request: Request) -> Response:
        """End, once what is being answered is done."""
        self.service.stop()
        return JSONResponse({"process": os.getpid()})

    def keep(self, asked: Line) -> None:
        """Stay as long as a request wants, if this is an engine that ends at all."""
        if self.service.keep is not None and asked["keep"] is not None:
            self.service.keep = asked["keep"]

    def lines(self, items: AsyncGenerator[Line], silence: float = BEAT) -> Response:
        """A response of one event for each item, and a comment after so much silence; what goes wrong is the last."""

        async def encoded() -> AsyncGenerator[bytes]:
            try:
                with self.service.in_use():
                    async with aclosing(items) as found:
                        async for item in found:
                            yield event(json.dumps(item))
            except MistralrsError as error:
                yield event({"error": plain_error(error)})
            except Exception as error:
                self.log({"event": "error", "error": f"{type(error).__name__}: {error}"[:500]})
                yield event({"error": plain_error(error)})

        return EventStreamResponse(encoded(), lambda: None, silence)

    async def loaded(self) -> AsyncGenerator[Line]:
        """What goes on until the model is loaded, then what is known of it. Raises what loading has raised."""
        service, entry = self.service, self.model.entry
        by_need = service.loads and (service.several or entry.loads > 0)
        wanted = service.registry.request(entry) if by_need else None
        said = ""
        try:
            while self.model.backend is None if wanted is None else not wanted.done():
                if wanted is None and entry.error is not None:
                    raise entry.error
                if service.draining:
                    raise ShuttingDown("The engine is shutting down.", "Try again.")
                if said != entry.activity:
                    said = entry.activity
                    yield {"say": said}
                await asyncio.sleep(POLL)
            if wanted is not None:
                wanted.result()
            info = self.model.ready().info
        finally:
            if wanted is not None:
                drop(wanted)
        yield {"ready": to_plain(info), "notes": list(info.notes)}

    async def called(self, asked: Line) -> AsyncGenerator[Line]:
        """What a method of the engine returns."""
        if asked["name"] not in CALLS:
            raise MistralrsError(f"There is no method {asked['name']!r}.")
        given = [value for value in asked["given"] if value is not None]
        async with self.service.using(self.model) as backend:
            method = getattr(backend, asked["name"])
            yield {"result": to_plain(await self.service.in_thread(lambda: method(*given)))}

    async def held(self) -> AsyncGenerator[Line]:
        """Nothing, until the server ends."""
        yield {"held": True}
        while not self.service.draining:
            await asyncio.sleep(0.1)

    async def answer(self, asked: Line) -> AsyncGenerator[Line]:
        """Decode media, while the model is still loading if need be; then have it answer."""
        service = self.service
        count = len(media_of(asked["messages"]))
        progress: asyncio.Queue[Line] = asyncio.Queue()

        def decoded(number: int) -> None:
            progress.put_nowait({"say": f"Decoding media, {number} of {count}"})

        caller = Caller(policy=asked["policy"], decoded=decoded)
        reservation = Reservation(service.media_memory)
        try:
            model = reader(self.checkpoint)
            kinds = [medium.kind for medium in media_of(asked["messages"])]
            require(model, model.name, kinds, self.max_images)
            begun = time.perf_counter()
            work = asyncio.ensure_future(service.decode(asked["messages"], caller, model, reservation, self.model))
            async for line in meanwhile(work, progress):
                yield line
            messages = work.result()
            given = {id(medium) for medium in media_of(asked["messages"])}
            fresh = [medium for medium in decoded_media(messages) if id(medium) not in given]
            seconds = time.perf_counter() - begun if fresh else 0.0
            yield {"notes": [note for medium in fresh for note in notes_on(medium)]}
            async with aclosing(self.loaded()) as lines:
                async for line in lines:
                    yield line
            yield {"say": "Reading the prompt"}
            while self.model.concurrency.full:
                await asyncio.sleep(POLL)
            wanted = GenerationRequest(messages, sampling=asked["sampling"], tools=asked["tools"])
            if SPEECH_TASK in asked["sampling"].template_kwargs:
                async with service.using(self.model) as backend:
                    wanted = speech_request(messages, asked["sampling"], backend)
            streams = await service.begin(lambda: wanted, caller, decoded=reservation, model=self.model)
        except BaseException:
            reservation.release()
            raise
        try:
            async with aclosing(streams.events()) as events:
                async for _, item in events:
                    seen = replace(item, timing=item.timing.after(seconds)) if isinstance(item, Done) else item
                    yield {"event": to_plain(seen)}
        finally:
            streams.close()


def speech_request(messages: Sequence[Message], sampling: Sampling, backend: Backend) -> GenerationRequest:
    """What has a window of speech transcribed, as the model is asked for it."""
    task: SpeechTask = sampling.template_kwargs[SPEECH_TASK]
    (window,) = decoded_media(messages)
    messages, inputs = backend.transcription(
        window, task.language, translate=task.translate, prompt=task.prompt, words=task.words
    )
    given = {name: value for name, value in sampling.template_kwargs.items() if name != SPEECH_TASK}
    return GenerationRequest(tuple(messages), sampling=replace(sampling, template_kwargs=given | dict(inputs)))


async def meanwhile(work: asyncio.Future[Any], progress: asyncio.Queue[Line]) -> AsyncIterator[Line]:
    """What comes until the work is done; it is cancelled where nothing waits for it any more."""
    upcoming: asyncio.Future[Line] | None = None
    try:
        while not work.done():
            upcoming = asyncio.ensure_future(progress.get())
            await asyncio.wait({work, upcoming}, return_when=asyncio.FIRST_COMPLETED)
            if upcoming.done():
                yield upcoming.result()
    finally:
        if upcoming is not None:
            upcoming.cancel()
        if not work.done():
            work.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await work


def reader(checkpoint: Checkpoint) -> Any:
    """What is known of a model before it is loaded, as far as its media need it."""
    family = checkpoint.family
    return SimpleNamespace(
        name=checkpoint.name,
        modalities=family.modalities,
        audio_rate=family.audio_rate,
        video_sampling=family.sampling,
    )


def memory() -> dict[str, int]:
    """Bytes that this process takes: of the machine's memory, and of a GPU's if it uses one."""
    import psutil

    found = {"host": int(psutil.Process().memory_info().rss)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["device"] = int(torch.cuda.memory_reserved())
    return found
