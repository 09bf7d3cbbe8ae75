"""The server as a process: its socket, the loading of the model beside it, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from ..errors import OptionError
from ..options import ServerOptions
from .connection import Connection
from .service import Service

LARGEST_HEADERS = 1 << 16
BACKLOG = 2048
CLOSING = 5.0  # seconds that connections get after their answers were ended
Load = Callable[[Service], None]


class Server(uvicorn.Server):
    """Uvicorn that ends running answers cleanly, and leaves it to its caller what a signal means."""

    def __init__(self, service: Service, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=LARGEST_HEADERS,
                timeout_graceful_shutdown=round(service.options.grace + CLOSING),
            )
        )
        self.service = service
        self.interrupted = False

    def serve_on(self, listener: socket.socket, load: Load) -> bool:
        """Serve until told to stop, loading the model meanwhile; true when Ctrl-C ended it.

        Raises what ``load`` raises.
        """
        failure: list[BaseException] = []

        def loading() -> None:
            try:
                load(self.service)
            except BaseException as error:
                failure.append(error)
                self.should_exit = True

        threading.Thread(target=loading, name="loading", daemon=True).start()
        try:
            asyncio.run(self.serve(sockets=[listener]))
        finally:
            self.service.close()
            listener.close()
        if failure and not self.interrupted:
            raise failure[0]
        return self.interrupted

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the wish to end; a second Ctrl-C waits for nothing."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests; what is still running after the grace ends with an error."""
        ending = asyncio.get_running_loop().call_later(self.service.options.grace, self.service.end_all)
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()


def listen(options: ServerOptions) -> socket.socket:
    """A listening socket. Raises ``OptionError`` where the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host.strip("[]"), options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            listener.setblocking(False)
            undo.pop_all()
        return listener
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(
            f"The server cannot listen on {options.host}:{options.port}: {reason}.",
            "Pick another with -p PORT, or end the program that uses it.",
        ) from error
