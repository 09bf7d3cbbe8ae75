"""Threads that share the pieces of a product, and sleep while there is none.

ggml's own threads wait for each other in a loop: beside a busy process they made a product twenty times slower. Here
a thread that is awake takes the next piece, so that one which does not get a core is waited for only where it is at a
piece already.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

Piece = Callable[[], None]


class Job:
    """Pieces to be done, and what became of those that other threads did."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = deque(pieces)
        self.done: SimpleQueue[BaseException | None] = SimpleQueue()

    def take(self) -> Piece | None:
        """The next piece, if one is left."""
        try:
            return self.pieces.popleft()
        except IndexError:
            return None


class ThreadPool:
    """Threads that help the one that has a job."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.lock = threading.Lock()

    def run(self, pieces: Sequence[Piece], threads: int) -> None:
        """Do all pieces with ``threads`` threads, the caller's among them. An error of a piece is raised here."""
        job = Job(pieces)
        helpers = min(threads, len(pieces)) - 1
        self.grow(helpers)
        for _ in range(helpers):
            self.jobs.put(job)
        others = len(pieces)
        try:
            while (piece := job.take()) is not None:
                others -= 1
                piece()
        finally:  # what the others still write to must not be freed before
            while job.take() is not None:
                others -= 1
            errors = [job.done.get() for _ in range(others)]
        for error in errors:
            if error is not None:
                raise error

    def grow(self, helpers: int) -> None:
        """Have so many threads."""
        if len(self.threads) >= helpers:
            return
        with self.lock:
            while len(self.threads) < helpers:
                thread = threading.Thread(target=self.help, name="ggml", daemon=True)
                thread.start()
                self.threads.append(thread)

    def help(self) -> None:
        """What a thread does."""
        while True:
            job = self.jobs.get()
            while (piece := job.take()) is not None:
                try:
                    piece()
                except BaseException as error:
                    job.done.put(error)
                else:
                    job.done.put(None)
            del job


POOL = ThreadPool()


def forget_threads() -> None:
    """A forked process has none of its parent's threads."""
    POOL.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_threads)
