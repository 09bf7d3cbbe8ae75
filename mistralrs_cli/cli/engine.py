"""An engine in a process of its own, which ``run --keep`` starts: ``python -m mistralrs_cli.cli.engine``.

A line of JSON on stdin says what to load; stdin stays open until that is done, and where it ends before, so does this
process. A line of JSON on stdout says where the engine can be reached, or what is wrong.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from ..attach.codec import from_plain, plain_error, to_plain
from ..attach.log import EngineLog
from ..attach.record import EngineRecord, record_of
from ..errors import first_line
from ..options import ModelOptions, ServerOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from .server_log import log

if TYPE_CHECKING:
    from ..loading import Checkpoint
    from ..server.service import Service

QUEUE = 10_000
"""Answers that may wait: they are all this user's own."""


def entry(models: Models | None = None) -> NoReturn:
    """The whole process."""
    from .app import leave
    from .openmp import wait_passively

    wait_passively(os.environ)
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    asked = json.loads(sys.stdin.readline() or "null")
    if asked is None:
        leave(1)
    code = 0
    try:
        serve(asked, report, models or Models())
    except Exception as error:
        if not report.closed:  # otherwise the server answers the client
            with suppress(OSError):
                say({"error": plain_error(error)}, report)
        code = 1
    leave(code)


def serve(asked: dict[str, Any], report: Any, models: Models) -> None:
    """Load the model and answer until it was idle for long enough."""
    from ..server.app import create_app
    from ..server.private import create_private_app
    from ..server.process import Server, listen_on_path
    from ..server.service import Service

    options: ModelOptions = from_plain(asked["options"])
    console = Console()
    console.verbose = asked["verbose"]
    with quiet_libraries(verbose=console.verbose, bars=asked["bars"]):
        notices = models.check(options)
        checkpoint = models.open(options, asked["kind"], speech=asked["speech"])
        record = replace(
            record_of(options, checkpoint.family.modalities, checkpoint.folder),
            notices=notices,
            keep=asked["keep"],
            downloads=checkpoint.repository is not None,
        )
        own = listen_on_path(str(record.socket))
        service = Service(ServerOptions(queue=QUEUE), options.model_id, options.max_seqs)
        service.keep = asked["keep"]
        engine_log = EngineLog(record.id)
        early: list[dict[str, object]] = []

        def log_line(facts: dict[str, object]) -> None:
            facts = with_traceback(facts)
            if engine_log.taken_over:  # until then stderr is the terminal of the command that waits
                log(facts, "text", console)
            else:
                early.append(facts)

        def loaded(service: Service) -> None:
            load(service, checkpoint, options, models, engine_log)
            for facts in early:
                log_line(facts)

        public = create_app(service, log_line)
        private = create_private_app(public, service, checkpoint, log_line, options.max_num_images)
        server = Server(service, public, [private])
        try:
            record.write()
            say({"record": to_plain(record)}, report)
            report.close()
            threading.Thread(target=end_with_caller, args=(service, record), daemon=True).start()
            server.serve_on(None, loaded, [own])
        except Exception:
            if engine_log.taken_over:  # else the client gets the error, and stderr is its terminal
                traceback.print_exc()
            raise
        finally:
            record.remove()


def with_traceback(facts: dict[str, object]) -> dict[str, object]:
    """What is logged of an unexpected error, while it is handled, with the place where it was raised."""
    return facts | {"traceback": f"\n{traceback.format_exc()}"} if facts.get("event") == "error" else facts


def load(
    service: Service, checkpoint: Checkpoint, options: ModelOptions, models: Models, engine_log: EngineLog
) -> None:
    """Load the model; from then on what is said goes to the log."""

    def progress(done: int, total: int) -> None:
        service.default.entry.activity = f"Quantizing weights, {done} of {total}"

    def failed(error: BaseException) -> None:
        trace = "\n" + "".join(traceback.format_exception(error))
        facts: dict[str, object] = {"event": "failure", "error": f"{type(error).__name__}: {first_line(error)}"}
        log(facts | {"traceback": trace}, "text", Console())
        service.stop()

    engine = models.start(checkpoint, options, prefixes=options.prefix_cache_n, progress=progress, on_failure=failed)
    engine_log.take_over()
    service.backend = engine


def end_with_caller(service: Service, record: EngineRecord) -> None:
    """End at once if the caller ends while the model is still loading: nothing waits for it then."""
    sys.stdin.read()
    if service.backend is None:
        record.remove()
        os._exit(1)


def say(line: dict[str, Any], report: Any) -> None:
    """One line of JSON for the caller."""
    report.write(json.dumps(line) + "\n")
    report.flush()


if __name__ == "__main__":
    entry()
