"""Work on many items at once, in threads, no further ahead than is needed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")
TURN = 0.1
"""Seconds after which a wait looks for Ctrl-C, which ends no wait on some systems."""


def answered(
    items: Iterable[Item], work: Callable[[Item], Value], workers: int, *, window: int | None = None
) -> Generator[tuple[int, Item, Value | Exception], None, None]:
    """Each item with its number and what ``work`` made of it or raised, as they come.

    ``workers`` items are worked on at a time, and ``items`` is read no further. With ``window`` no item is begun that
    many after the first unfinished one. Closing the iterator begins no more.
    """
    finished: SimpleQueue[tuple[int, Item, Value | Exception]] = SimpleQueue()

    def run(number: int, item: Item) -> None:
        try:
            found: Value | Exception = work(item)
        except Exception as error:
            found = error
        finished.put((number, item, found))

    waiting = enumerate(items)
    unfinished: dict[int, None] = {}  # in the order in which they were begun
    pool = ThreadPoolExecutor(workers, thread_name_prefix="mistralrs-batch")
    more = True
    try:
        while more or unfinished:
            while more and len(unfinished) < workers and not far(unfinished, window, workers):
                try:
                    number, item = next(waiting)
                except StopIteration:
                    more = False
                    break
                unfinished[number] = None
                pool.submit(run, number, item)
            if unfinished:
                done = taken(finished)
                del unfinished[done[0]]
                yield done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def far(unfinished: dict[int, None], window: int | None, workers: int) -> bool:
    """Whether the next item is too far ahead of the first unfinished one."""
    if window is None or not unfinished:
        return False
    first, last = next(iter(unfinished)), next(reversed(unfinished))
    return last - first >= max(window, workers)


def taken(queue: SimpleQueue[Value]) -> Value:
    """The next value of a queue."""
    while True:
        try:
            return queue.get(timeout=TURN)
        except Empty:
            continue
