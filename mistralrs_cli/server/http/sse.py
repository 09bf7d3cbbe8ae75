"""Server-sent events, and clients that disconnect before the response is complete."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Result = TypeVar("Result")
STALLED = 60.0  # seconds that a client may leave what was sent unread; then it counts as gone
KEEP_ALIVE = 10.0  # seconds of silence after which a comment says that the server is still there
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class ClientDisconnected(Exception):
    """The client has closed the connection."""


async def disconnected(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def cancel_on_disconnect(request: Request, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """The result of ``work()``, which is cancelled when the client leaves. Raises ``ClientDisconnected`` then.

    The body must have been read.
    """
    task = asyncio.ensure_future(work())
    leaving = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnected
    finally:
        for pending in (task, leaving):
            pending.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await pending


def event(data: dict[str, Any] | str, name: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {text}\n\n".encode("utf-8", "replace")


class EventStreamResponse(Response):
    """Server-sent events. When the client leaves, the generator is closed at once, not when it is collected.

    ``close`` is called in the end, too: a generator that never began runs no code of its own when it is closed. After
    ``silence`` seconds without an event a comment is sent.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], close: Callable[[], None], silence: float = KEEP_ALIVE) -> None:
        super().__init__(headers=HEADERS)
        self.close = close
        self.silence = silence
        del self.headers["content-length"]
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes, and a comment where nothing comes for long, until the client leaves or stops reading."""
        leaving: asyncio.Future[None] = asyncio.ensure_future(disconnected(receive))
        upcoming: asyncio.Future[bytes | None] | None = None
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while True:
                upcoming = upcoming or asyncio.ensure_future(anext(self.events, None))
                both: set[asyncio.Future[Any]] = {upcoming, leaving}
                await asyncio.wait(both, timeout=self.silence, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    return
                chunk: bytes | None = b": still here\n\n"
                if upcoming.done():
                    chunk, upcoming = upcoming.result(), None
                if chunk is None:
                    break
                body = {"type": "http.response.body", "body": chunk, "more_body": True}
                async with asyncio.timeout(STALLED):
                    await send(body)
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            return
        finally:
            for pending in (leaving, upcoming):
                if pending is not None:
                    pending.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await pending
            await self.events.aclose()
            self.close()
