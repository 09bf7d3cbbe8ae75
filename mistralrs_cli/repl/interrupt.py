"""Signals: Ctrl-C stops an answer, but never tears up what is being drawn; SIGTERM and SIGHUP end the chat."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

from ..terminal.cursor import end_progress

Item = TypeVar("Item")

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
PATIENCE = 1.0
"""Seconds the main thread has to end the chat by itself."""


class Interruptible:
    """Within the block, Ctrl-C raises ``KeyboardInterrupt`` while ``each`` waits for the next item, or just after."""

    def __init__(self) -> None:
        self.waiting = True
        self.interrupted = False
        self.before: object = None

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; between two of them nothing is interrupted."""
        iterator = iter(items)
        while True:
            self.waiting = True
            if self.interrupted:
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
        self.interrupted = True
        if self.waiting:
            raise KeyboardInterrupt


class Ended(SystemExit):
    """SIGTERM or SIGHUP has come: the process ends with the code that shells give for it, 143 or 129."""


class Ending:
    """Within the block, SIGTERM and SIGHUP raise ``Ended`` in the main thread, after ``begin`` was called.

    Where that thread does not end within a moment, since it is inside a long operation of a library or what it has to
    close takes its time, ``last`` is called and the process ended all the same. A signal that is ignored, as under
    ``nohup``, stays so.
    """

    def __init__(self, begin: Callable[[], None], last: Callable[[], None]) -> None:
        self.begin = begin
        self.last = last
        self.number = 0
        self.fatal: tuple[int, ...] = SIGNALS
        self._before: dict[int, object] = {}
        self._terminal: list[object] | None = None
        self._reader = self._writer = -1
        self._wakeup = -1  # the descriptor that was notified of signals before
        self._over = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._before[number] = signal.signal(number, self.note)
        if sys.platform != "win32":
            self._reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            if os.isatty(0):
                import termios

                self._terminal = termios.tcgetattr(0)
            threading.Thread(target=self.watch, name="mistralrs-ending", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        if self._writer >= 0:
            current = signal.set_wakeup_fd(-1)
            signal.set_wakeup_fd(self._wakeup if current == self._writer else current)
            os.close(self._writer)

    def listen(self, *, interrupts: bool = False) -> None:
        """Hear of signals even while the main thread cannot; with ``interrupts`` Ctrl-C ends the process as well.

        To be called again after a prompt, whose event loop takes over the wakeup descriptor.
        """
        if self._before and self._writer >= 0:
            self.fatal = (*SIGNALS, signal.SIGINT) if interrupts else SIGNALS
            before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            if before not in (-1, self._writer):
                self._wakeup = before

    def note(self, number: int, frame: FrameType | None) -> None:
        """A signal has come."""
        if self.number:
            return
        self.number = number
        self.begin()
        threading.Thread(target=self.expire, args=(number,), name="mistralrs-ending", daemon=True).start()
        raise Ended(128 + number)

    def watch(self) -> None:
        """Wait for a signal that ends the process, then for the second or the end of patience."""
        while data := os.read(self._reader, 1):
            if data[0] in self.fatal:
                select.select([self._reader], [], [], PATIENCE)
                self.expire(data[0], 0.0)
        os.close(self._reader)

    def expire(self, number: int, patience: float = PATIENCE) -> None:
        """End the process, if it has not ended by itself in the meantime."""
        time.sleep(patience)
        if self._over:
            return
        try:
            saving = threading.Thread(target=self.last, daemon=True)
            saving.start()
            saving.join(PATIENCE)  # the disk may be what hangs
            if self._terminal is not None and not self._over:
                import termios

                end_progress()
                termios.tcsetattr(0, termios.TCSANOW, self._terminal)  # type: ignore[arg-type]
        finally:
            os._exit(128 + number)
