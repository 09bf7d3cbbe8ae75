"""What every request passes first: its id, the key it needs, and the log line about it."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...options import ServerOptions
from ..keys import Account, Keyring
from ..limits.memory import MemoryBudget, Reservation
from . import errors
from .auth import authorize, check_host
from .sse import ClientDisconnected
from .tracing import Trace

Log = Callable[[dict[str, object]], None]
"""Takes the log fields of one request, or of an unexpected error."""

SMALL = 1 << 16  # bytes of a body that need no reservation
LARGEST_HEADERS = 1 << 16  # bytes of all header lines
LONGEST_PATH = 1 << 13  # bytes
SEPARATORS = 4  # bytes between a header's name and value, and behind it
MOST_NAMED = 1000  # ignored fields that are named in the log
QUIET = ("/health", "/ready", "/metrics", "/engine/status")  # polled every few seconds, so not logged
REFERENCE = ("/docs", "/openapi.json")
REQUEST_ID = re.compile(r"[\w.:-]{1,128}")


class RequestMiddleware:
    """The outermost ASGI layer. Nothing of a prompt or an answer reaches the log unless an interface put it there.

    ``body_memory`` is what all bodies share; ``responded`` gets the route and status of every response, ``used`` the
    name of the key and the tokens of one with a key, ``trace`` whatever the log gets.
    """

    def __init__(
        self,
        app: ASGIApp,
        options: ServerOptions,
        body_memory: MemoryBudget,
        responded: Callable[[str, int], None],
        log: Log,
        keys: Keyring | None = None,
        used: Callable[[str, int], None] = lambda name, tokens: None,
        trace: Trace | None = None,
    ) -> None:
        self.app = app
        self._options = options
        self._body_memory = body_memory
        self._responded = responded
        self._log = log
        self._keys = keys or Keyring()
        self._used = used
        self._trace = trace
        self._named: set[str] = set()  # ignored fields that the log has named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 400, 401, 403, 414 or 431."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = adapted(scope, self._options.root_path)
        headers = Headers(scope=scope)
        client_id = headers.get("x-request-id", "")
        request_id = client_id if REQUEST_ID.fullmatch(client_id) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        method = scope["method"]
        if method == "HEAD":  # the server underneath sends no body for it
            scope["method"] = "GET"
        begun, status, complete = time.perf_counter(), 0, False
        received, reservation = 0, Reservation(self._body_memory)
        account: Account | None = None
        counted: Account | None = None

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            await reservation.take(max(0, received - SMALL - reservation.held))
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status, complete
            complete = not message.get("more_body", message["type"] == "http.response.start")
            if message["type"] == "http.response.start":
                status = message["status"]
                response_headers = MutableHeaders(scope=message)
                response_headers["x-request-id"] = request_id
                for name, value in ({} if account is None else account.headers()).items():
                    response_headers[name] = value
                if names := ignored_fields(scope):
                    response_headers["x-ignored-fields"] = ", ".join(names)
            await send(message)

        path = scope["path"]
        try:
            check_head(scope, headers)
            check_host(headers, self._options)
            if scope["method"] != "OPTIONS":  # a browser asks beforehand, without the key; nothing else answers it
                account = authorize(headers, path, self._keys)
            if account is not None:
                scope["state"]["owner"] = account.key.owner
                if scope["method"] == "POST":
                    account.begin()
                    counted = account
            await self.app(scope, receive_counted, send_with_headers)
        except HTTPException as error:
            scope["state"]["log_fields"] = {"error": errors.details(error)[3]}
            await errors.response(error, path, request_id)(scope, receive, send_with_headers)
        except (ClientDisconnected, ClientDisconnect):
            status = errors.CLIENT_CLOSED_REQUEST
            scope["state"].get("log_fields", {}).pop("error", None)  # the app took it for a failure
        except Exception as error:
            self._log({"event": "error", "request": request_id, "error": f"{type(error).__name__}: {error}"[:500]})
            if not status:
                with suppress(Exception):
                    await errors.response(error, path, request_id)(scope, receive, send_with_headers)
            elif not complete:
                raise
        finally:
            reservation.release()
            if counted is not None:
                fields = scope["state"].get("log_fields", {})
                tokens = int(fields.get("prompt_tokens", 0)) + int(fields.get("completion_tokens", 0))
                counted.end(tokens)
                self._used(counted.key.name, tokens)
            self._responded(str(getattr(scope.get("route"), "path", path if path in REFERENCE else "unknown")), status)
            new = [name for name in ignored_fields(scope) if self._is_new(name)]
            if path not in QUIET:
                facts: dict[str, object] = {
                    "event": "request",
                    "request": request_id,
                    **({} if account is None else {"key": account.key.name}),
                    "client": (scope.get("client") or ("unix",))[0],
                    "method": method,
                    "path": path[:200],
                    "status": status,
                    "seconds": round(time.perf_counter() - begun, 4),
                    **scope["state"].get("log_fields", {}),
                    **({"ignored": ",".join(new)} if new else {}),
                }
                self._log(facts)
                if self._trace is not None:
                    self._trace(headers, str(getattr(scope.get("route"), "path", "unknown")), facts)

    def _is_new(self, name: str) -> bool:
        """Whether the log has not named this ignored field yet; it names each once, and so many at most."""
        if name in self._named or len(self._named) >= MOST_NAMED:
            return False
        self._named.add(name)
        return True


def adapted(scope: Scope, root_path: str) -> Scope:
    """A request's scope with the app's path: without scheme and host before it, and without a proxy's prefix."""
    path = scope["path"]
    if path.startswith(("http://", "https://")):  # a request to a proxy, whose answer is ours all the same
        path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
    if root_path and path.startswith(f"{root_path}/"):
        path = path.removeprefix(root_path)
    return {**scope, "path": path, "root_path": root_path}


def check_head(scope: Scope, headers: Headers) -> None:
    """Raise 431 or 414 for more than the server takes, and 400 for a body whose length is given in two ways."""
    size = sum(len(name) + len(value) + SEPARATORS for name, value in scope["headers"])
    if size > LARGEST_HEADERS:
        raise HTTPException(431, f"The header lines take more than {LARGEST_HEADERS:,} bytes.", {"Connection": "close"})
    if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > LONGEST_PATH:
        raise HTTPException(414, f"The path is longer than {LONGEST_PATH:,} bytes.", {"Connection": "close"})
    if "content-length" in headers and "transfer-encoding" in headers:
        raise HTTPException(400, "Content-Length and Transfer-Encoding exclude each other.", {"Connection": "close"})


def ignored_fields(scope: Scope) -> tuple[str, ...]:
    """The ignored fields of a request, by name; a request without a body has none."""
    ignored = scope["state"].get("ignored")
    return () if ignored is None else tuple(ignored.names)
