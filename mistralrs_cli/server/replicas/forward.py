"""A request on its way through replicas: to another one if the first fails, and its answer back to the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.types import Message, Receive, Send

from ...errors import EngineDown, MistralrsError
from ..http import errors
from ..http.middleware import Log
from ..http.sse import STALLED, ClientDisconnected, disconnected, event
from .forwarded import LOG, REPLICA, ForwardedRequest
from .metrics import FrontMetrics
from .protocol import ELSEWHERE, ReplicaLost, Replicas

ATTEMPTS = 4  # replicas that a request tries, one after the other
PATIENCE = 120.0  # seconds until a replica takes a request, such as one that is being started
ENDED = "The process that was answering has ended.", "Send the request again."
OWN_FIELDS = ("event", "request", "client", "method", "path", "status", "seconds")


class Forward:
    """One request on its way through one replica after the other."""

    def __init__(
        self,
        metrics: FrontMetrics,
        log: Log,
        replicas: Replicas,
        request: ForwardedRequest,
        path: str,
        key: str | None,
        model: int | None,
        send: Send,
    ) -> None:
        self.log_fields: dict[str, object] = {}
        self._metrics = metrics
        self._log_line = log
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
        self._events = 0  # of the stream, about as many as tokens
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
                    self._metrics.interrupted.inc()
                    failure = EngineDown(*ENDED)
                    break
                self._metrics.rerouted.labels("lost").inc()
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
                        self._metrics.rerouted.labels(str(message["status"])).inc()
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
            self._log_line(facts)

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
        if self._stream:  # counts where the client leaves before the replica says how many tokens there were
            self._events += body.startswith(b"data: ") + body.count(b"\ndata: ")
            self.log_fields["completion_tokens"] = self._events
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
