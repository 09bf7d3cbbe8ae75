"""The address of all replicas: sends each request to one of them, and to another if that one fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...errors import MistralrsError, ShuttingDown
from ..app import create_app
from ..http import errors
from ..http.body import LONG, read
from ..http.middleware import Log, RequestMiddleware
from ..metrics import CONTENT_TYPE
from .affinity import SESSION, destination, session_key
from .batch_lines import ForwardedLines
from .forward import Forward, until_left
from .forwarded import ForwardedRequest
from .front_service import FrontService
from .metrics import FrontMetrics
from .protocol import ELSEWHERE, ReplicaLost, Replicas

BODIES = ("POST", "PUT", "PATCH")
HERE = ("/v1/files", "/v1/batches", "/ui")
"""What the front answers itself: what is stored, and the page, but not its questions about media."""
NOT_HERE = ("/ui/report",)
EVERYWHERE = ("/v1/models",)
"""What all replicas are asked: which models are in memory, and to load and unload one."""
STATUSES = ("unloaded", "loading", "loaded")
SPARE = 10.0  # seconds that all replicas have to answer, beside those that a model may take to load


class Front:
    """Forwards requests. ``local`` answers while there are no replicas yet; ``log`` gets what replicas log."""

    def __init__(self, service: FrontService, local: FastAPI, log: Log) -> None:
        self.service = service
        self.local = local
        self.log = log
        self._routes = {route.path: route for route in local.routes if isinstance(route, Route)}
        self._metrics = FrontMetrics()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        replicas, path = self.service.replicas, scope.get("path", "")
        here = path == "/" or (path.startswith(HERE) and path not in NOT_HERE)
        if scope["type"] != "http" or replicas is None or here:
            await self.local(scope, receive, send)
        elif path == "/health":
            await JSONResponse({"status": "ok"})(scope, receive, send)
        elif path == "/metrics":
            text = self._metrics.text(await replicas.metrics(), self.service.metrics.text().decode())
            await Response(text, media_type=CONTENT_TYPE)(scope, receive, send)
        else:
            if path in self._routes:
                scope["route"] = self._routes[path]  # for the metrics
            await self._forward(replicas, scope, receive, send)

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
        forward = Forward(self._metrics, self.log, replicas, request, path, key, self.service.place(to.model), send)
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
        loading = self.service.options.load_timeout if request.scope["method"] in BODIES else 0.0
        try:
            found = await replicas.everywhere(request, SPARE + loading)
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


def front_app(service: FrontService, log: Log) -> RequestMiddleware:
    """The front behind what every request passes first: its id, the key it needs, and the log line about it."""
    local = create_app(service, log, ForwardedLines(service)).app
    assert isinstance(local, FastAPI)
    front = Front(service, local, log)
    metrics = service.metrics
    return RequestMiddleware(
        front, service.options, service.body_memory, metrics.responded, log, service.keys, metrics.key_used
    )
