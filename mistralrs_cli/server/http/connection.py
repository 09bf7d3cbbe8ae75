"""One connection: uvicorn's, with a deadline for what a client began to send."""

from __future__ import annotations

import asyncio
import json
import sys
from http import HTTPStatus

import h11
from starlette.exceptions import HTTPException

from ...attach.peer import peer_of
from . import errors
from .compat import H11Protocol

HEADERS = 20.0  # seconds from a request's first byte, or from a new connection, to the end of its header lines
MOST = 2048  # connections
SPARE = 96  # files that the program needs beside them


def most_connections() -> int:
    """How many connections are taken, by the files that a program may have open."""
    if sys.platform == "win32":
        return MOST
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if allowed == resource.RLIM_INFINITY else max(16, min(MOST, allowed - SPARE))


class Connection(H11Protocol):
    """Closes when header lines do not end in time, or a body that is not read any more.

    Every byte stops uvicorn's own timer, so a client that sends one now and then would stay for good.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the deadline of the first request, or answer 503 where there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            self._refuse(HTTPException(503, "The server has as many connections as it can."))
        else:
            self._update_deadline()

    def data_received(self, data: bytes) -> None:
        """Start the deadline of the next request, or stop it once the request is there."""
        super().data_received(data)
        self._update_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        self._stop_deadline()
        super().connection_lost(exc)

    @property
    def _unfinished(self) -> bool:
        """Whether the client has yet to send header lines, or the rest of a body that was answered already."""
        return self.conn.their_state is h11.IDLE or (
            self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        )

    def _update_deadline(self) -> None:
        if not self._unfinished:
            self._stop_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS, self._on_deadline)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        """Close, with 408 for a client that had begun."""
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(HTTPException(408, f"The header lines did not end within {HEADERS:g} s."))
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the form of every other error."""
        self._refuse(HTTPException(400, f"{msg.rstrip('.')}."))

    def _refuse(self, error: HTTPException) -> None:
        """Answer with an error, whatever the request is, and close."""
        body = json.dumps(errors.body(error, "")).encode()
        reason = HTTPStatus(error.status_code).phrase
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        for event in (
            h11.Response(status_code=error.status_code, headers=list(headers.items()), reason=reason.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class PrivateConnection(Connection):
    """Of the server's own user alone: a connection from another's process is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Ask the kernel who it is."""
        try:
            ours = peer_of(transport.get_extra_info("socket")).is_us
        except OSError:
            ours = False
        super().connection_made(transport)
        if not ours:
            transport.close()
