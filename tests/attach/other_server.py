"""A server of somebody else's with OpenAI's interface, which notes what it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Other(ThreadingHTTPServer):
    """Answers with ``status`` and ``lines``. Before a line that is a function, that is called."""

    status = 200
    location: str | None = None
    """Where a redirection leads."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lines: list[dict[str, Any] | Callable[[], object]] = [
            {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"delta": {"reasoning_content": "Hm."}}]},
            {"choices": [{"delta": {"content": "It is "}}]},
            {"choices": [{"delta": {"content": "red."}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 3}},
        ]
        self.models: Any = [{"id": "their-model"}]
        self.asked: list[tuple[str, Any, Any]] = []
        self.left = Event()
        """Set once a client has gone before its answer has ended."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Of the last request."""
        found: list[dict[str, Any]] = self.asked[-1][1]["messages"]
        return found


class Handler(BaseHTTPRequestHandler):
    server: Other

    def do_GET(self) -> None:
        found = self.server.models
        self.respond(404 if found is None else 200, json.dumps({"data": found}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers.get("Authorization")))
        if self.server.status != 200:
            self.respond(self.server.status, json.dumps(self.server.lines[0]).encode())
            return
        self.send_response(200)
        self.end_headers()
        try:
            for line in self.server.lines:
                if callable(line):
                    line()
                else:
                    self.wfile.write(f"data: {json.dumps(line)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.left.set()

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.server.location is not None:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given: object) -> None:
        """Nothing."""


@contextmanager
def other_server() -> Iterator[Other]:
    """One that runs."""
    with Other() as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()
