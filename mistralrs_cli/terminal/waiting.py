"""What may wait for a pipe, a disk or a network: the status line shows it, and Ctrl-C ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from .console import Console

Value = TypeVar("Value")

PATIENCE = 0.5
"""Seconds after which a terminal shows what is being waited for."""
SILENCE = 3.0
"""Seconds after which a log gets a line."""


class _Outcome(Generic[Value]):
    """What some work in a thread has come to."""

    def __init__(self, work: Callable[[], Value]) -> None:
        self.work = work
        self.values: list[Value] = []
        self.error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self.values.append(self.work())
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()


def waited(label: str, work: Callable[[], Value], console: Console) -> Value:
    """What ``work`` returns or raises, done in a thread.

    A system call that never returns (a named pipe, a file system whose server is gone) cannot be interrupted; left in
    its thread it no longer matters. ``label`` says what is done, as in ``Reading pipe.png``. Ctrl-C raises
    ``KeyboardInterrupt`` at once; the work continues in the background until the process ends.
    """
    outcome = _Outcome(work)
    threading.Thread(target=outcome.run, name="mistralrs-reading", daemon=True).start()
    redrawn = console.interactive and not console.still
    if not outcome.done.wait(PATIENCE if redrawn else SILENCE):
        if redrawn:
            with console.status(f"{label}… Ctrl-C stops"):
                _until(outcome.done)
        else:
            console.note(f"{label[:1].lower()}{label[1:]}, which takes its time; Ctrl-C stops")
            _until(outcome.done)
    if outcome.error is not None:
        raise outcome.error
    return outcome.values[0]


def _until(done: threading.Event) -> None:
    while not done.wait(0.1):  # a wait without end would not be ended by Ctrl-C everywhere
        continue
