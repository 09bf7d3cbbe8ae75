"""An engine behind a Unix socket in this process, which plays what ``FakeModels`` says."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from mistralrs_cli import __version__
from mistralrs_cli.attach import AttachedEngine, connection
from mistralrs_cli.attach.identity import digest
from mistralrs_cli.attach.record import EngineRecord, own_folder
from mistralrs_cli.events import Done, Event
from mistralrs_cli.messages import Message
from mistralrs_cli.options import AttachOptions, ModelOptions, Sampling, ServerOptions, Tools
from mistralrs_cli.server.app import create_app
from mistralrs_cli.server.private import create_private_app
from mistralrs_cli.server.process import Server, listen_on_path
from mistralrs_cli.server.service import Service
from tests.fake_model import FakeEngine, FakeFamily, FakeModels


class FakeAnswer:
    """The events of a fake engine, made in a thread, as a server reads them."""

    prompt_tokens = cached_tokens = input_bytes = 0
    drawing = (0.0, 1.0)

    def __init__(self, events: Iterator[Event]) -> None:
        self.closed = threading.Event()
        self._queue: SimpleQueue[Event | BaseException] = SimpleQueue()
        self._wake: Callable[[], None] = lambda: None
        threading.Thread(target=self._play, args=(events,), daemon=True).start()

    def _play(self, events: Iterator[Event]) -> None:
        try:
            for event in events:
                if self.closed.is_set():
                    return
                self._queue.put(event)
                self._wake()
        except BaseException as error:
            self._queue.put(error)
            self._wake()

    def on_ready(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        wake()

    def ready_events(self) -> Iterator[Event]:
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
            if isinstance(item, Done):
                return

    def close(self) -> None:
        self.closed.set()


class FakeBackend(FakeEngine):
    """A fake engine as a server's model."""

    media_bytes = 2**30

    def __init__(self, models: FakeModels, name: str) -> None:
        super().__init__(models, name)
        family = self.family
        vars(self.info).update(
            device="cpu",
            dtype="float32",
            family=family.name,
            modalities=family.modalities,
            audio_rate=family.audio_rate,
            video_sampling=family.sampling,
        )
        self.answers: list[FakeAnswer] = []

    @property
    def stats(self) -> Any:
        from types import SimpleNamespace

        return SimpleNamespace(failure=None, running=0, waiting=0)

    def unread(self, sampling: Sampling) -> list[str]:
        return []

    def stream(self, messages: Sequence[Message], sampling: Sampling, tools: Tools | None = None) -> Any:
        answer = FakeAnswer(iter(super().stream(messages, sampling)))
        self.answers.append(answer)
        return answer


def played(models: FakeModels, name: str = "demo") -> Any:
    """A fake model as a service takes one."""
    return FakeBackend(models, name)


class ServedModels(FakeModels):
    """A fake model whose answers come from an engine that runs already: nothing is opened or loaded here."""

    whole = ()

    def __init__(self, *answers: Any, record: EngineRecord, **given: Any) -> None:
        super().__init__(*answers, **given)
        self.record = record

    def attach(self, options: ModelOptions, how: AttachOptions, note: Callable[[str], None] = lambda text: None) -> Any:
        if not how.attach:
            return None
        self.options = options
        return AttachedEngine(self.record, options, keep=how.keep)


@contextlib.contextmanager
def serving(
    options: ModelOptions | None = None, *, family: FakeFamily | None = None, keep: float | None = None, rows: int = 32
) -> Iterator[tuple[Service, Server, EngineRecord]]:
    """An engine with the record that belongs to it. Its model is ``service.backend``, which the caller sets."""
    options = options or ModelOptions()
    own_folder()
    name = digest(options)
    record = EngineRecord(
        id=f"{name[:8]}-{os.getpid()}",
        process=os.getpid(),
        version=__version__,
        digest=name,
        model=options.model_id,
        modalities=("image", "audio", "video"),
        keep=keep,
        started=time.time(),
    )
    service = Service(ServerOptions(queue=1000, grace=1.0), options.model_id, rows)
    service.keep = keep
    lines: list[dict[str, object]] = []
    public = create_app(service, lines.append)
    checkpoint: Any = type("Checkpoint", (), {"name": options.model_id, "family": family or FakeFamily()})
    server = Server(service, public, [create_private_app(public, service, checkpoint, lines.append)])
    own = listen_on_path(str(record.socket))
    thread = threading.Thread(target=server.serve_on, args=(None, lambda service: None, [own]))
    thread.start()
    record.write()
    patience, connection.PATIENCE = connection.PATIENCE, 60.0  # this machine may be slow
    try:
        yield service, server, record
    finally:
        connection.PATIENCE = patience
        server.should_exit = True
        thread.join(30)
        record.remove()
    assert not thread.is_alive()
    assert not Path(record.socket).exists()
