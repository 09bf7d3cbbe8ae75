"""A request on its way to a replica: what is sent there, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from ..caller import BATCH_LINE

REPLICA, LOG = "mistralrs.replica", "mistralrs.log"
"""Types of messages beside ASGI's: which replica answers, first; log fields of the request, all of them last. How long
its prompt is comes as soon as it is known, since a client may leave before the end."""
OWN_HEADERS = (b"x-request-id", b"content-length", b"authorization", b"x-api-key")
"""What a replica gets from the front, and the keys, which the front has checked."""
UNREAD = 256  # messages that a replica makes before somebody takes one
LOGGED: ContextVar[list[dict[str, object]] | None] = ContextVar("logged", default=None)


@dataclass(frozen=True)
class ForwardedRequest:
    """A request with its whole body, as plain values: it goes to another process."""

    scope: dict[str, Any]
    body: bytes

    @classmethod
    def of(cls, scope: Scope, body: bytes, request_id: str) -> ForwardedRequest:
        """What a replica needs of an ASGI scope, which holds much that stays here.

        ``scope`` is that of the application: a proxy's prefix is put back before its path, since the replica takes
        it off again. The request keeps its id.
        """
        names = ("type", "http_version", "method", "scheme", "query_string", "client", "server")
        path = f"{scope.get('root_path', '')}{scope['path']}"
        headers = [(name, value) for name, value in scope["headers"] if name not in OWN_HEADERS]
        headers += [(b"x-request-id", request_id.encode()), (b"content-length", str(len(body)).encode())]
        kept = {name: scope[name] for name in names if name in scope}
        return cls(kept | {"path": path, "raw_path": path.encode(), "headers": headers, "root_path": ""}, body)

    @classmethod
    def of_line(cls, path: str, body: bytes, request_id: str, *, local_files: bool) -> ForwardedRequest:
        """The request of a line of a batch, which may name any file where ``local_files`` says so."""
        known = {"host": "localhost", "content-type": "application/json", "content-length": str(len(body))}
        headers = [(name.encode(), value.encode()) for name, value in (*known.items(), ("x-request-id", request_id))]
        scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http"}
        scope |= {"query_string": b"", "path": path, "raw_path": path.encode(), "root_path": "", "headers": headers}
        return cls(scope | {"state": {BATCH_LINE: local_files}}, body)


@dataclass(frozen=True)
class WholeAnswer:
    """The status, the headers and the body of a response."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def whole_answer(app: ASGIApp, request: ForwardedRequest) -> WholeAnswer:
    """The whole response of an application."""
    status, headers, body = 500, [], b""
    async for message in answer(app, request):
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            body += message.get("body", b"")
    return WholeAnswer(status, headers, body)


async def answer(app: ASGIApp, request: ForwardedRequest) -> AsyncGenerator[dict[str, Any]]:
    """The messages by which an ASGI application answers. Closing the generator is the client's leaving."""
    messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(UNREAD)
    left = asyncio.Event()
    unread = [request.body]
    logged: list[dict[str, object]] = []
    state, prompt_known = dict(request.scope.get("state", {})), False

    async def receive() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if not left.is_set():
            await messages.put(dict(message))

    async def run() -> None:
        LOGGED.set(logged)
        try:
            scope = {"asgi": {"version": "3.0", "spec_version": "2.3"}, **request.scope}
            await app(scope | {"state": state}, receive, send)
        finally:
            left.set()
            await messages.put(None)

    task = asyncio.ensure_future(run())
    try:
        while (message := await messages.get()) is not None:
            yield message
            if not prompt_known and "prompt_tokens" in (fields := state.get("log_fields", {})):
                prompt_known = True
                yield {"type": LOG, "facts": {"event": "request", "prompt_tokens": fields["prompt_tokens"]}}
        await task
        for facts in logged:
            yield {"type": LOG, "facts": facts}
    finally:
        left.set()
        while not messages.empty():  # an application that waits for room may go on, and end
            messages.get_nowait()
        if not task.done():
            await asyncio.wait({task})


def note(facts: dict[str, object]) -> bool:
    """Keep the log fields of the request that is being answered; false where none is."""
    logged = LOGGED.get()
    if logged is None:
        return False
    logged.append(facts)
    return True
