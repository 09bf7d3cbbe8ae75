"""One demo model for all tests here, behind as many servers as they need."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import openai
import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.options import ModelOptions, ServerOptions
from mistralrs_cli.server.app import create_app
from mistralrs_cli.server.backend import Backend
from mistralrs_cli.server.process import Server, listen
from mistralrs_cli.server.service import Service

ROWS = 16


@dataclass
class Running:
    """A server in a thread of this process."""

    service: Service
    port: int
    server: Server
    lines: list[dict[str, object]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, **body: object) -> httpx.Response:
        """JSON to a path."""
        return httpx.post(self.url + path, json=body, timeout=60)

    def chat(self, **body: object) -> httpx.Response:
        return self.post("/v1/chat/completions", **body)

    def client(self, key: str = "foobar") -> openai.OpenAI:
        return openai.OpenAI(api_key=key, base_url=f"{self.url}/v1/", max_retries=0, timeout=120)


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The demo model in float32."""
    options = ModelOptions(dtype="f32", cpu=True)
    with Engine(load(open_checkpoint(options), options), max_rows=ROWS) as engine:
        yield engine


@contextlib.contextmanager
def serving(
    engine: Backend | None, options: ServerOptions, rows: int = ROWS, *, ready: bool = True
) -> Iterator[Running]:
    """Serve an engine on any free port, and wait until it is ``ready``."""
    listener = listen(options)
    service = Service(options, "demo", rows)
    lines: list[dict[str, object]] = []
    server = Server(service, create_app(service, lines.append))
    running = Running(service, listener.getsockname()[1], server, lines)

    def lend(service: Service) -> None:
        service.backend = engine

    thread = threading.Thread(target=server.serve_on, args=(listener, lend))
    thread.start()
    try:
        while ready and engine is not None and httpx.get(f"{running.url}/ready").status_code != 200:
            pass
        yield running
    finally:
        service.backend = None  # the next server wants it, too
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def start(engine: Engine) -> Iterator[Start]:
    """Another server over the same engine, with options of its own."""
    with contextlib.ExitStack() as stack:

        def started(rows: int = ROWS, *, ready: bool = True, grace_seconds: float = 2.0, **options: object) -> Running:
            chosen = ServerOptions(port=0, grace=grace_seconds, **options)  # type: ignore[arg-type]
            return stack.enter_context(serving(engine, chosen, rows, ready=ready))

        yield started


@pytest.fixture(scope="session")
def server(engine: Engine) -> Iterator[Running]:
    """A server with default options."""
    with serving(engine, ServerOptions(port=0)) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    """OpenAI's client for it."""
    with server.client() as client:
        yield client


@pytest.fixture
def in_samples(samples: Path) -> Iterator[Path]:
    """The sample media as the working folder, for bare names."""
    before = Path.cwd()
    os.chdir(samples)
    yield samples
    os.chdir(before)
