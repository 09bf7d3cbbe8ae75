"""What every request passes first: its id, the key it needs, and the log line about it."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import problems
from .access import authorize
from .room import Share
from .streaming import ClientLeft

if TYPE_CHECKING:
    from .service import Service

Log = Callable[[dict[str, object]], None]
"""Takes one request's facts, or an unexpected error's."""

SMALL = 1 << 16  # bytes of a body that wait for nobody
QUIET = ("/health", "/ready", "/metrics")  # asked every few seconds by those that watch over the server
REQUEST_ID = re.compile(r"[\w.:-]{1,128}")


class Gate:
    """The outermost ASGI layer. Nothing of what is asked or answered reaches the log."""

    def __init__(self, app: ASGIApp, service: Service, log: Log) -> None:
        self.app = app
        self.service = service
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 401."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        begun, status, whole = time.perf_counter(), 0, False
        received, share = 0, Share(self.service.bodies)

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            await share.take(max(0, received - SMALL - share.held))
            return message

        async def marked(message: Message) -> None:
            nonlocal status, whole
            whole = not message.get("more_body", message["type"] == "http.response.start")
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                answered["x-request-id"] = request_id
                if names := passed_over(scope):
                    answered["x-ignored-fields"] = ", ".join(names)
            await send(message)

        path = scope["path"]
        try:
            if scope["method"] != "OPTIONS":  # a browser asks beforehand, without the key; nothing else answers it
                authorize(headers, path, self.service.options.api_keys)
            await self.app(scope, counted, marked)
        except HTTPException as error:
            await problems.response(error, path, request_id)(scope, receive, marked)
        except (ClientLeft, ClientDisconnect):
            status = problems.CLIENT_LEFT
        except Exception as error:
            self.log({"event": "error", "request": request_id, "error": f"{type(error).__name__}: {error}"[:500]})
            if not status:
                with suppress(Exception):
                    await problems.response(error, path, request_id)(scope, receive, marked)
            elif not whole:
                raise
        finally:
            share.release()
            route = getattr(scope.get("route"), "path", "unknown")
            self.service.metrics.responded(route, status)
            unsaid = [name for name in passed_over(scope) if self.service.is_news(name)]
            if path not in QUIET:
                self.log(
                    {
                        "event": "request",
                        "request": request_id,
                        "method": scope["method"],
                        "path": path[:200],
                        "status": status,
                        "seconds": round(time.perf_counter() - begun, 4),
                        **scope["state"].get("facts", {}),
                        **({"ignored": ",".join(unsaid)} if unsaid else {}),
                    }
                )


def passed_over(scope: Scope) -> tuple[str, ...]:
    """The fields of a request that were passed over, by name; a request without a body has none."""
    noted = scope["state"].get("noted")
    return () if noted is None else tuple(noted.names)
