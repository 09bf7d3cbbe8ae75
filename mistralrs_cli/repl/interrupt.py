"""Ctrl-C while an answer is made: it ends the waiting, but never tears up what is being drawn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")


class Interruptible:
    """Within the block, Ctrl-C raises ``KeyboardInterrupt`` while ``each`` waits for the next item, or just after."""

    def __init__(self) -> None:
        self.waiting = True
        self.asked = False
        self.before: object = None

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; between two of them nothing is interrupted."""
        iterator = iter(items)
        while True:
            self.waiting = True
            if self.asked:
                raise KeyboardInterrupt
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.waiting = False
            yield item

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self.note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)  # type: ignore[arg-type]

    def note(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C has come."""
        self.asked = True
        if self.waiting:
            raise KeyboardInterrupt
