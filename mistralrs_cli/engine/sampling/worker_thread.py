"""Work in a thread of its own, with a timeout for its callers. Work that is too slow cannot be stopped."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")
SIZES = threading.Lock()  # the size of new stacks is the whole process's


class DaemonThread:
    """One thread that does one thing after the other, and ends once this is dropped. It keeps no program from ending.

    ``stack`` is the bytes of its stack, where the usual would not do.
    """

    def __init__(self, name: str, stack: int = 0) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        thread = threading.Thread(target=work, args=(self._tasks,), name=name, daemon=True)
        with SIZES:
            before = threading.stack_size(stack)
            try:
                thread.start()
            finally:
                threading.stack_size(before)
        weakref.finalize(self, self._tasks.put, None).atexit = False

    def do(self, task: Callable[[], Result]) -> Future[Result]:
        """Begin as soon as what came before is done."""
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(task())
            except BaseException as error:
                future.set_exception(error)

        self._tasks.put(run)
        return future


def work(tasks: SimpleQueue[Any]) -> None:
    """Do what comes until there is no more."""
    while (task := tasks.get()) is not None:
        task()
        del task
