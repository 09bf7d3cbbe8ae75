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

from ..limits.memory import Reservation
from . import errors
from .auth import authorize
from .sse import ClientDisconnected

if TYPE_CHECKING:
    from ..service import Service

Log = Callable[[dict[str, object]], None]
"""Takes the log fields of one request, or an unexpected error's."""

SMALL = 1 << 16  # bytes of a body that wait for nobody
LARGEST_HEADERS = 1 << 16  # bytes of all header lines
LONGEST_PATH = 1 << 13  # bytes
SEPARATORS = 4  # bytes between a header's name and value, and behind it
QUIET = ("/health", "/ready", "/metrics")  # asked every few seconds by those that watch over the server
REFERENCE = ("/docs", "/openapi.json")
REQUEST_ID = re.compile(r"[\w.:-]{1,128}")


class RequestMiddleware:
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
        scope = adapted(scope, self.service.options.root_path)
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        method = scope["method"]
        if method == "HEAD":  # the server underneath sends no body for it
            scope["method"] = "GET"
        begun, status, whole = time.perf_counter(), 0, False
        received, share = 0, Reservation(self.service.bodies)

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
            check_head(scope, headers)
            if scope["method"] != "OPTIONS":  # a browser asks beforehand, without the key; nothing else answers it
                authorize(headers, path, self.service.options.api_keys)
            await self.app(scope, counted, marked)
        except HTTPException as error:
            scope["state"]["log_fields"] = {"error": errors.problem(error)[3]}
            await errors.response(error, path, request_id)(scope, receive, marked)
        except (ClientDisconnected, ClientDisconnect):
            status = errors.CLIENT_CLOSED_REQUEST
        except Exception as error:
            self.log({"event": "error", "request": request_id, "error": f"{type(error).__name__}: {error}"[:500]})
            if not status:
                with suppress(Exception):
                    await errors.response(error, path, request_id)(scope, receive, marked)
            elif not whole:
                raise
        finally:
            share.release()
            route = str(getattr(scope.get("route"), "path", path if path in REFERENCE else "unknown"))
            self.service.metrics.responded(route, status)
            unsaid = [name for name in passed_over(scope) if self.service.first_ignored(name)]
            if path not in QUIET:
                self.log(
                    {
                        "event": "request",
                        "request": request_id,
                        "client": (scope.get("client") or ("unix",))[0],
                        "method": method,
                        "path": path[:200],
                        "status": status,
                        "seconds": round(time.perf_counter() - begun, 4),
                        **scope["state"].get("log_fields", {}),
                        **({"ignored": ",".join(unsaid)} if unsaid else {}),
                    }
                )


def adapted(scope: Scope, root_path: str) -> Scope:
    """A request's scope whose path is that of the app: without the address before it, and without a proxy's prefix."""
    path = scope["path"]
    if path.startswith(("http://", "https://")):  # a request to a proxy, whose answer is ours all the same
        path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
    if root_path and path.startswith(f"{root_path}/"):
        path = path.removeprefix(root_path)
    return {**scope, "path": path, "root_path": root_path}


def check_head(scope: Scope, headers: Headers) -> None:
    """Raise 431 or 414 for more than the server takes, and 400 for a body whose length is told in two ways."""
    size = sum(len(name) + len(value) + SEPARATORS for name, value in scope["headers"])
    if size > LARGEST_HEADERS:
        raise HTTPException(431, f"The header lines take more than {LARGEST_HEADERS:,} bytes.", {"Connection": "close"})
    if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > LONGEST_PATH:
        raise HTTPException(414, f"The path is longer than {LONGEST_PATH:,} bytes.", {"Connection": "close"})
    if "content-length" in headers and "transfer-encoding" in headers:
        raise HTTPException(400, "Content-Length and Transfer-Encoding exclude each other.", {"Connection": "close"})


def passed_over(scope: Scope) -> tuple[str, ...]:
    """The fields of a request that were passed over, by name; a request without a body has none."""
    ignored = scope["state"].get("ignored")
    return () if ignored is None else tuple(ignored.names)
