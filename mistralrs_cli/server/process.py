"""The server as a process: its socket, the loading of the model beside it, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from ..errors import OptionError, ShuttingDown
from ..options import ServerOptions
from . import systemd
from .http.connection import Connection, PrivateConnection
from .http.middleware import LARGEST_HEADERS
from .service import Service

BACKLOG = 2048
CLOSING = 5.0  # seconds that connections get after their answers were ended
POLL = 0.05  # seconds between two checks whether answers have ended
Load = Callable[[Service], None]


class Server(uvicorn.Server):
    """Uvicorn that ends running answers cleanly, and lets its caller decide what a signal means."""

    def __init__(
        self,
        service: Service,
        app: ASGIApp,
        private: Sequence[ASGIApp] = (),
        log: Callable[[dict[str, object]], None] = lambda facts: None,
    ) -> None:
        options = service.options
        super().__init__(config(app, Connection, ssl_certfile=options.certificate, ssl_keyfile=options.private_key))
        self.service = service
        self.private = [config(each, PrivateConnection) for each in private]
        self._own: Sequence[socket.socket] = ()
        self.log = log
        self._reload = False
        self.interrupted = False
        service.stop = self.ask_to_end

    def serve_on(self, listener: socket.socket | None, load: Load, own: Sequence[socket.socket] = ()) -> bool:
        """Serve until a signal, loading the model meanwhile; true when Ctrl-C ended it.

        ``own`` are the sockets of the private apps, which only this user reaches.

        Raises what ``load`` raises, but for a model that was still loading when the server was stopped.
        """
        failure: list[BaseException] = []

        def loading() -> None:
            try:
                load(self.service)
            except BaseException as error:
                failure.append(error)
                self.service.default.entry.error = error
                self.should_exit = True
            self.service.touch()

        self._own = own
        listeners = [] if listener is None else [listener]
        threading.Thread(target=loading, name="loading", daemon=True).start()
        try:
            asyncio.run(self.serve(sockets=listeners))
        finally:
            self.service.close()
            for each in (*listeners, *own):
                each.close()
            if self.service.options.uds is not None:
                Path(self.service.options.uds).unlink(missing_ok=True)
        if failure and not self.interrupted and not isinstance(failure[0], ShuttingDown):
            raise failure[0]
        return self.interrupted

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, on the private sockets as well."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for private, own in zip(self.private, self._own, strict=False):
            private.load()
            connection = partial(PrivateConnection, config=private, server_state=self.server_state, app_state={})
            self.servers.append(await loop.create_server(connection, sock=own, backlog=BACKLOG))
        if self.service.batches is not None:
            self.service.batches.resume()

    async def on_tick(self, counter: int) -> bool:
        """End once it was idle for long enough."""
        self.should_exit = self.should_exit or self.service.expired
        if self._reload:
            self._reload = False
            self._read_keys()
        return await super().on_tick(counter)

    def _read_keys(self) -> None:
        """Read the file of keys again; a wrong one changes nothing."""
        try:
            count = self.service.keys.reload()
        except OptionError as error:
            self.log({"event": "keys", "keys": "unchanged", "error": error.message})
        else:
            self.log({"event": "keys", "keys": count})

    def ask_to_end(self) -> None:
        """Shut down, as on a signal."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Shut down on SIGINT and SIGTERM; read the file of keys again on SIGHUP."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        if self.service.keys.file is not None and hasattr(signal, "SIGHUP"):
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._hang_up)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hang_up(self, sig: int, frame: FrameType | None) -> None:
        """Have the keys read again between two events."""
        self._reload = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to shut down; a second Ctrl-C does so at once."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer new requests with 503, let running answers end, and end the rest after the grace period."""
        self.service.draining = True
        systemd.notify("STOPPING=1")
        if self.service.batches is not None:
            await self.service.batches.stop()
        until = time.monotonic() + self.service.options.grace
        while self.service.in_flight and time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(POLL)
        self.service.end_all()
        await super().shutdown(sockets)


def config(app: ASGIApp, connection: type[Connection], **tls: str | None) -> uvicorn.Config:
    """How uvicorn serves an app."""
    return uvicorn.Config(
        app,
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=LARGEST_HEADERS,
        timeout_graceful_shutdown=round(CLOSING),
        **tls,  # type: ignore[arg-type]
    )


def check_certificate(options: ServerOptions) -> None:
    """Raise ``OptionError`` where the files for TLS cannot be used, before any model is read."""
    if options.private_key is not None and options.certificate is None:
        raise OptionError("--ssl-keyfile needs --ssl-certfile.", "Name the certificate, too.")
    if options.certificate is None:
        return
    for option, path in (("--ssl-certfile", options.certificate), ("--ssl-keyfile", options.private_key)):
        if path is not None and not Path(path).is_file():
            raise OptionError(f"{option}: there is no file {path}.", "Name a file in PEM form.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.certificate, options.private_key, no_password)
    except (ssl.SSLError, OSError) as error:
        raise OptionError(
            "--ssl-certfile and --ssl-keyfile are not a certificate and its private key.",
            "Both are in PEM form, without a password; a file that holds both needs no --ssl-keyfile.",
        ) from error


def no_password() -> str:
    """The password of a private key that has one: none can be typed."""
    return ""


def listen(options: ServerOptions) -> socket.socket:
    """A listening socket: systemd's where it passes one on. Raises ``OptionError`` where the address cannot be had."""
    if (given := systemd.inherited()) is not None:
        return given
    if options.uds is not None:
        return listen_on_path(options.uds)
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
    except socket.gaierror as error:
        raise OptionError(
            f"--host {options.host} is no address of this machine.", "Use 127.0.0.1 or 0.0.0.0."
        ) from error
    except (OSError, OverflowError) as error:
        why = reason(error) if isinstance(error, OSError) else "there is no such port"
        raise OptionError(
            f"The server cannot listen on {options.host}:{options.port}: {why}.",
            "Pick another with -p PORT, or end the program that uses it.",
        ) from error


def listen_anywhere(options: ServerOptions) -> socket.socket:
    """A listening socket, on another port where the one of ``options`` is taken. Raises ``OptionError``."""
    try:
        return listen(options)
    except OptionError:
        return listen(replace(options, port=0))


def listen_on_path(path: str) -> socket.socket:
    """A listening Unix socket that only this user can reach; a stale one is replaced."""
    if not path:
        raise OptionError("--uds is empty.", "Name the path of a socket, as in --uds /run/mistralrs.sock")
    with contextlib.ExitStack() as undo:
        listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            if Path(path).exists() and stat.S_ISSOCK(Path(path).stat().st_mode) and not answers(path):
                Path(path).unlink()
            before = os.umask(0o177)
            try:
                listener.bind(path)
            finally:
                os.umask(before)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError as error:
            raise OptionError(
                f"The server cannot listen on {path}: {reason(error)}.", "Name another path with --uds."
            ) from error
        undo.pop_all()
    return listener


def answers(path: str) -> bool:
    """Whether a program listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(path)
        except OSError:
            return False
    return True


def reason(error: OSError) -> str:
    """Why an address cannot be had, in plain words."""
    return REASONS.get(error.errno or 0, "the system does not allow it")


REASONS = {
    errno.EADDRINUSE: "it is in use",
    errno.EACCES: "this user may not",
    errno.EPERM: "this user may not",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.ENOENT: "there is no such folder",
    errno.ENOTDIR: "there is no such folder",
    errno.EROFS: "the file system is read-only",
}
