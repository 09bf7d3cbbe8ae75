"""One request to an engine over its Unix socket, and the events that come back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import h11

from .peer import Peer, peer_of

PATIENCE = 2.0
"""Seconds of silence after which an engine counts as stuck: it says something twice a second."""

PIECE = 1 << 18


class NotOurs(Exception):
    """What listens there is another user's."""


class Silent(Exception):
    """Nothing has come for ``PATIENCE`` seconds."""


class Refused(Exception):
    """The engine has answered with an error instead of events, as where it has no memory for a body."""


class Connection:
    """A connection to an engine of this user. Raises ``OSError`` where none listens, ``NotOurs`` for another user's."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._http = h11.Connection(h11.CLIENT)
        self._text = b""
        try:
            self._socket.settimeout(PATIENCE)
            self._socket.connect(str(path))
            self.peer: Peer = peer_of(self._socket)
            if not self.peer.is_us:
                raise NotOurs
        except BlockingIOError as error:  # its queue of connections is full: it takes none
            self._socket.close()
            raise TimeoutError from error
        except BaseException:
            self._socket.close()
            raise

    def send(self, method: str, path: str, body: Sequence[bytes] = ()) -> None:
        """Send a request whole. Raises ``Silent`` where nothing takes it."""
        size = str(sum(map(len, body)))
        headers = [("Host", "localhost"), ("Content-Length", size), ("Content-Type", "application/octet-stream")]
        self._send(self._http.send(h11.Request(method=method, target=path, headers=headers)))
        for piece in body:
            self._send(self._http.send(h11.Data(data=piece)))
        self._send(self._http.send(h11.EndOfMessage()))

    def _send(self, data: bytes | None) -> None:
        view = memoryview(data or b"")
        while view:
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError as error:
                raise Silent from error

    def events(self) -> Iterator[dict[str, Any]]:
        """The objects of a stream of server-sent events. Ends with the connection.

        Raises ``Silent`` where nothing comes for long; to go on waiting, call it again. Raises ``Refused`` for an
        error in place of events.
        """
        while True:
            while (end := self._text.find(b"\n\n")) >= 0:
                event, self._text = self._text[:end], self._text[end + 2 :]
                if event.startswith(b"data: "):
                    yield json.loads(event[6:])
            data = self._receive()
            if data is None:
                if self.status not in (0, HTTPStatus.OK):
                    raise Refused(refusal(self.status, self._text))
                return
            self._text += data

    def whole(self) -> tuple[int, bytes]:
        """The status and the body of a response."""
        data = bytearray()
        self.status = 0
        while (piece := self._receive()) is not None:
            data += piece
        return self.status, bytes(data)

    status = 0

    def _receive(self) -> bytes | None:
        """More of the body; ``None`` at its end."""
        while True:
            event = self._http.next_event()
            match event:
                case h11.NEED_DATA:
                    try:
                        self._http.receive_data(self._socket.recv(PIECE))
                    except TimeoutError as error:
                        raise Silent from error
                case h11.Response(status_code=status):
                    self.status = status
                case h11.Data(data=data):
                    return bytes(data)
                case h11.EndOfMessage() | h11.PAUSED | h11.ConnectionClosed():
                    return None

    @property
    def open(self) -> bool:
        """Whether the other end is still there; what it has said is dropped."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(PIECE):
                continue
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Hang up; a thread that waits for the next event finds the end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def refusal(status: int, body: bytes) -> str:
    """Why an engine has refused a request, as its error says it."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"


def ask(path: Path, method: str, target: str, body: Sequence[bytes] = ()) -> tuple[int, Any]:
    """One request, its status and the JSON that comes back.

    Raises ``OSError`` where no engine listens, ``NotOurs`` for another user's and ``Silent`` for one that is stuck.
    """
    connection = Connection(path)
    try:
        connection.send(method, target, body)
        status, found = connection.whole()
    except h11.RemoteProtocolError as error:
        raise OSError("the engine has hung up") from error
    finally:
        connection.close()
    return status, json.loads(found) if found else None
