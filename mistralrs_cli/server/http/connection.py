"""One connection: uvicorn's own, with an end to waiting for what a client began to send."""

from __future__ import annotations

import asyncio
import json
import sys
from http import HTTPStatus

import h11
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import errors

HEADERS = 20.0  # seconds from a request's first byte, or from a new connection, to the end of its header lines
MOST = 2048  # connections
SPARE = 96  # files that the program needs beside them


def most_connections() -> int:
    """How many the system has room for, by the files that a program may have open."""
    if sys.platform == "win32":
        return MOST
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if allowed == resource.RLIM_INFINITY else max(16, min(MOST, allowed - SPARE))


class Connection(H11Protocol):
    """Closes when header lines do not end in time, or a body that nobody reads any more.

    Every byte that comes stops uvicorn's own timer, so a client that sends one now and then would stay for good.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Give the first request its time, unless there are too many to be served beside it."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            self._refuse(HTTPException(503, "The server has as many connections as it can."))
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Give the next request its time, or no more of it once it is there."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._forget()
        super().connection_lost(exc)

    @property
    def _unfinished(self) -> bool:
        """Whether the client has yet to send header lines, or the rest of a body that was answered already."""
        return self.conn.their_state is h11.IDLE or (
            self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        )

    def _watch(self) -> None:
        if not self._unfinished:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS, self._end)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        """Close, and say why to a client that had begun."""
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
        """Answer with an error whatever was asked, and close."""
        told = json.dumps(errors.body(error, "")).encode()
        reason = HTTPStatus(error.status_code).phrase
        headers = {"Content-Type": "application/json", "Content-Length": str(len(told)), "Connection": "close"}
        for event in (
            h11.Response(status_code=error.status_code, headers=list(headers.items()), reason=reason.encode()),
            h11.Data(data=told),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
