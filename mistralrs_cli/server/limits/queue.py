"""How many requests may be inside at a time: those being answered and a bounded queue, no more."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import OptionError, Overloaded

MEMORY = 0.9  # how much the average time of an answer depends on the answers before the last


class ConcurrencyLimit:
    """Counts the requests inside; used from the event loop alone."""

    def __init__(self, rows: int, queue: int) -> None:
        self.rows = rows
        self.queue = queue
        self.in_flight = 0
        self.seconds = 1.0  # what an answer takes, on average

    def acquire(self, count: int) -> Callable[[float | None], None]:
        """Let ``count`` answers in; call what is returned once they are done, with the seconds they took.

        Raises ``Overloaded`` where the queue is full, ``OptionError`` where it would never do.
        """
        if count > self.rows + self.queue:
            raise OptionError(
                f"n is {count}, but this server takes {self.rows + self.queue} answers at once.", param="n"
            )
        if self.in_flight + count > self.rows + self.queue:
            raise Overloaded(
                f"{self.in_flight} requests are being answered or waiting, as many as may.",
                "Try again later; --max-queue lets more wait.",
                retry_after=min(60, max(1, round(self.seconds * (self.in_flight / self.rows)))),
            )
        self.in_flight += count
        left = False

        def leave(seconds: float | None) -> None:
            nonlocal left
            if not left:
                left = True
                self.in_flight -= count
                if seconds is not None:
                    self.seconds = MEMORY * self.seconds + (1 - MEMORY) * seconds

        return leave
