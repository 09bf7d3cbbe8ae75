"""The address of all replicas: sends each request to one of them, and to another if that one fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from ...errors import EngineDown, MistralrsError, ShuttingDown
from ..app import create_app
from ..http import errors
from ..http.body import LONG, read
from ..http.middleware import Log, RequestMiddleware
from ..http.sse import STALLED, ClientDisconnected, disconnected, event
from ..metrics import CONTENT_TYPE
from .affinity import SESSION, destination, session_key
from .batch_lines import ForwardedLines
from .forwarded import LOG, REPLICA, ForwardedRequest
from .front_service import FrontService
from .metrics import merged
from .protocol import ELSEWHERE, ReplicaLost, Replicas

ATTEMPTS = 4  # replicas that a request tries, one after the other
PATIENCE = 120.0  # seconds until a replica takes a request, such as one that is being started
ENDED = "The process that was answering has ended.", "Send the request again."
BODIES = ("POST", "PUT", "PATCH")
HERE = ("/v1/files", "/v1/batches", "/ui")
"""What the front answers itself: what is stored, and the page, but not its questions about media."""
NOT_HERE = ("/ui/report",)
EVERYWHERE = ("/v1/models",)
"""What all replicas are asked: which models are in memory, and to load and unload one."""
STATUSES = ("unloaded", "loading", "loaded")
SPARE = 30.0  # seconds, beside those that a model may take to load
OWN_FIELDS = ("event", "request", "client", "method", "path", "status", "seconds")


class Front:
    """Forwards requests. ``local`` answers while there are no replicas yet; ``log`` gets what replicas log."""

    def __init__(self, service: FrontService, local: FastAPI, log: Log) -> None:
        self.service = service
        self.local = local
        self.log = log
        self._routes = {route.path: route for route in local.routes if isinstance(route, Route)}
        self._registry = registry = CollectorRegistry()
        self._replicas = Gauge("mistralrs_replicas", "Number of replicas that gave their metrics.", registry=registry)
        about = "Count of requests that were sent to another replica after one could not answer, by why."
        self.rerouted = Counter("mistralrs_rerouted_requests", about, ["reason"], registry=registry)
        about = "Count of streams that ended with an error because their replica was lost."
        self.interrupted = Counter("mistralrs_interrupted_streams", about, registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        replicas, path = self.service.replicas, scope.get("path", "")
        here = path == "/" or (path.startswith(HERE) and path not in NOT_HERE)
        if scope["type"] != "http" or replicas is None or here:
            await self.local(scope, receive, send)
        elif path == "/health":
            await JSONResponse({"status": "ok"})(scope, receive, send)
        elif path == "/metrics":
            await self._metrics(await replicas.metrics())(scope, receive, send)
        else:
            if path in self._routes:
                scope["route"] = self._routes[path]  # for the metrics
            await self._forward(replicas, scope, receive, send)

    def _metrics(self, texts: Mapping[str, str]) -> Response:
        self._replicas.set(len(texts))
        front = self.service.metrics.text().decode()
        own = generate_latest(self._registry)
        return Response(own + merged(texts, front).encode(), media_type=CONTENT_TYPE)

    async def _forward(self, replicas: Replicas, scope: Scope, receive: Receive, send: Send) -> None:
        path, state = scope["path"], scope["state"]
        try:
            if self.service.draining:
                raise ShuttingDown("The server is shutting down.", "Try again later.")
            body = await read(Request(scope, receive), self.service.options.body) if scope["method"] in BODIES else b""
            request = ForwardedRequest.of(scope, body, state["request_id"])
            if path.startswith(EVERYWHERE) and (answered := await self._everywhere(replicas, request)) is not None:
                await answered(scope, receive, send)
                return
            to = destination(path, body) if len(body) < LONG else await asyncio.to_thread(destination, path, body)
            session = Headers(scope=scope).get(SESSION)
            key = session_key(session) if session else to.key
            slots = self.service.concurrency.acquire(1) if scope["method"] in BODIES else None
        except MistralrsError as error:
            state["log_fields"] = {"error": error.code}
            await errors.response(error, path, state["request_id"])(scope, receive, send)
            return
        forward = Forward(self, replicas, request, path, key, self.service.place(to.model), send)
        begun = time.perf_counter()
        self.service.forwarded.add(forward)
        try:
            await until_left(forward, receive)
        finally:
            self.service.forwarded.discard(forward)
            if slots is not None:
                slots.release(time.perf_counter() - begun)
            state["log_fields"] = forward.log_fields

    async def _everywhere(self, replicas: Replicas, request: ForwardedRequest) -> Response | None:
        """What all replicas answer as one: an error where one has failed, and a model is loaded where it is in one.

        ``None`` where some have just ended, and where none could answer: then one that can is asked alone.
        """
        try:
            found = await replicas.everywhere(request, self.service.options.load_timeout + SPARE)
        except ReplicaLost:
            return None
        if not (found := [answered for answered in found if answered.status not in ELSEWHERE]):
            return None
        worst = max(found, key=lambda answered: answered.status)
        body = worst.body if worst.status >= 400 else together([answered.body for answered in found])
        kind = dict(worst.headers).get(b"content-type", b"application/json").decode()
        return Response(body, worst.status, media_type=kind)


def together(bodies: Sequence[bytes]) -> bytes:
    """One of several answers about models, with the status that a model has where it is loaded most."""
    answers = [json.loads(body) for body in bodies]
    models = [model for answer in answers for model in answer.get("data", [answer])]
    for model in answers[0].get("data", [answers[0]]):
        same = [other["status"] for other in models if named(other) == named(model)]
        model["status"] = max(same, key=STATUSES.index)
    return json.dumps(answers[0], ensure_ascii=False).encode()


def named(model: Mapping[str, Any]) -> Any:
    """What a model is called in an answer about it."""
    return model.get("id", model.get("model_id"))


class Forward:
    """One request on its way through one replica after the other."""

    def __init__(
        self,
        front: Front,
        replicas: Replicas,
        request: ForwardedRequest,
        path: str,
        key: str | None,
        model: int | None,
        send: Send,
    ) -> None:
        self.log_fields: dict[str, object] = {}
        self._front = front
        self._replicas = replicas
        self._request = request
        self._path = path
        self._key = key
        self._model = model
        self._send = send
        self._tried: list[str] = []
        self.complete = False  # the client has the whole answer
        self._started = False  # the client has the status
        self._begun = False  # the client has a part of the answer
        self._stream = False
        self._ending: asyncio.Future[MistralrsError] = asyncio.get_running_loop().create_future()

    def abort(self, error: MistralrsError) -> None:
        """End with an error."""
        if not self._ending.done():
            self._ending.set_result(error)

    async def run(self) -> None:
        """Have a replica answer; another one where it could not begin."""
        failure: MistralrsError = EngineDown("No replica could answer.", "Try again later.")
        for attempt in range(ATTEMPTS):
            try:
                if await self._attempt(last=attempt == ATTEMPTS - 1):
                    return
            except ReplicaLost:
                if self._begun:
                    self._front.interrupted.inc()
                    failure = EngineDown(*ENDED)
                    break
                self._front.rerouted.labels("lost").inc()
            except MistralrsError as error:
                failure = error
                break
        self.log_fields["error"] = failure.code
        await self._fail(failure)

    async def _attempt(self, *, last: bool) -> bool:
        """Pass one replica's answer on; false where it has none and another one should be asked."""
        start: Message | None = None
        replica, again = "", False
        async with aclosing(self._messages()) as messages:
            while (message := await self._next(messages, PATIENCE if not replica else None)) is not None:
                kind = message["type"]
                if kind == REPLICA:
                    replica = message["name"]
                    again = replica in self._tried  # there is no other
                    self._tried.append(replica)
                    self.log_fields["replica"] = replica
                elif kind == LOG:
                    self._log(message["facts"])
                elif kind == "http.response.start":
                    if message["status"] in ELSEWHERE and not (last or again or self._started):
                        self._front.rerouted.labels(str(message["status"])).inc()
                        return False
                    if self._started and message["status"] != 200:
                        raise EngineDown(*ENDED)
                    start = message
                else:
                    await self._pass_on(start, message)
                    start = None
        return True

    def _messages(self) -> AsyncGenerator[dict[str, Any]]:
        return self._replicas.answer(self._request, self._key, tuple(self._tried), self._model)

    def _log(self, facts: dict[str, object]) -> None:
        """Take over what a replica's log line says beyond what the front's own line will say."""
        if facts.get("event") == "request":
            self.log_fields |= {name: value for name, value in facts.items() if name not in OWN_FIELDS}
        else:
            self._front.log(facts)

    async def _next(self, messages: AsyncGenerator[dict[str, Any]], patience: float | None) -> dict[str, Any] | None:
        upcoming: asyncio.Future[Any] = asyncio.ensure_future(anext(messages, None))
        both: set[asyncio.Future[Any]] = {upcoming, self._ending}
        try:
            await asyncio.wait(both, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                raise self._ending.result()
            if not upcoming.done():
                raise EngineDown("No replica takes requests.", "Try again later.")
            found: dict[str, Any] | None = upcoming.result()
            return found
        finally:
            if not upcoming.done():
                upcoming.cancel()
                await asyncio.wait({upcoming})

    async def _pass_on(self, start: Message | None, message: Message) -> None:
        """Send a part of the answer; the status only with the first one, so that a lost replica is not seen before."""
        if start is not None:
            self._stream = b"text/event-stream" in dict(start["headers"]).get(b"content-type", b"")
            if not self._started:
                self._started = True
                await self._send(start)
        body = message.get("body", b"")
        self._begun = self._begun or (bool(body) and not (self._stream and body.startswith(b":")))
        try:
            self.complete = not message.get("more_body", False)
            async with asyncio.timeout(STALLED if self._stream else None):
                await self._send(message)
        except TimeoutError as error:
            raise ClientDisconnected from error

    async def _fail(self, error: MistralrsError) -> None:
        """The error as a response; as an event where a stream has begun. Else the connection can only be cut."""
        if not self._started:
            request_id = dict(self._request.scope["headers"])[b"x-request-id"].decode()
            await errors.response(error, self._path, request_id)({"type": "http"}, nothing, self._send)
        elif self._stream:
            await self._send({"type": "http.response.body", "body": error_event(error, self._path), "more_body": False})
        else:
            raise error


def front_app(service: FrontService, log: Log) -> RequestMiddleware:
    """The front behind what every request passes first: its id, the key it needs, and the log line about it."""
    local = create_app(service, log, ForwardedLines(service)).app
    assert isinstance(local, FastAPI)
    front = Front(service, local, log)
    metrics = service.metrics
    return RequestMiddleware(
        front, service.options, service.body_memory, metrics.responded, log, service.keys, metrics.key_used
    )


async def nothing() -> Message:
    """Nothing more is received."""
    return {"type": "http.disconnect"}


def error_event(error: MistralrsError, path: str) -> bytes:
    """The event by which a stream of this path says that it failed."""
    if path == "/v1/responses":
        _, text, _, code = errors.details(error)
        return event({"type": "error", "code": code or "server_error", "message": text, "param": None}, "error")
    if path.startswith(errors.ANTHROPIC):
        return event(errors.body(error, path), "error")
    return event(errors.body(error, path))


async def until_left(forward: Forward, receive: Receive) -> None:
    """Have a request answered; cancel it when its client leaves before that, and raise ``ClientDisconnected``."""
    task = asyncio.ensure_future(forward.run())
    leaving = asyncio.ensure_future(disconnected(receive))
    both: set[asyncio.Future[Any]] = {task, leaving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and not forward.complete:  # a client is gone, too, once it has its answer
            raise ClientDisconnected
        await task
    finally:
        for pending in both:
            if not pending.done():
                pending.cancel()
        await asyncio.wait(both)
