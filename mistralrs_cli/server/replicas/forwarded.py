"""A request on its way to a replica: what is sent there, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Scope

REPLICA, LOG = "mistralrs.replica", "mistralrs.log"
"""Types of messages beside ASGI's: which replica answers, first; the log fields of the request, last."""
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
        headers = [
            (name, value) for name, value in scope["headers"] if name not in (b"x-request-id", b"content-length")
        ]
        headers += [(b"x-request-id", request_id.encode()), (b"content-length", str(len(body)).encode())]
        kept = {name: scope[name] for name in names if name in scope}
        return cls(kept | {"path": path, "raw_path": path.encode(), "headers": headers, "root_path": ""}, body)


async def answer(app: ASGIApp, request: ForwardedRequest) -> AsyncGenerator[dict[str, Any]]:
    """The messages by which an ASGI application answers. Closing the generator is the client's leaving."""
    messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(UNREAD)
    left = asyncio.Event()
    unread = [request.body]
    logged: list[dict[str, object]] = []

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
            await app({"state": {}, "asgi": {"version": "3.0", "spec_version": "2.3"}, **request.scope}, receive, send)
        finally:
            left.set()
            await messages.put(None)

    task = asyncio.ensure_future(run())
    try:
        while (message := await messages.get()) is not None:
            yield message
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
