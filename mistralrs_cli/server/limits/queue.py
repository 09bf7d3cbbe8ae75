"""How many answers a server takes at a time: those being generated and a bounded queue."""

from __future__ import annotations

import time

from ...errors import OptionError, Overloaded

MEMORY = 0.9  # weight of earlier answers in the average time of one


class ConcurrencyLimit:
    """Counts the answers that are admitted and not ended; used from the event loop alone."""

    def __init__(self, running: int, queue: int) -> None:
        self.running = running
        self.queue = queue
        self.in_flight = 0
        self.seconds = 1.0  # what an answer takes, on average
        self.admitted = 0
        self.last_ended = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether not one more answer is admitted."""
        return self.in_flight >= self.running + self.queue

    def acquire(self, count: int) -> Slots:
        """Admit ``count`` answers. Raises ``Overloaded`` where the queue is full, ``OptionError`` for too many ever."""
        most = self.running + self.queue
        if count > most:
            raise OptionError(f"n is {count}, but this server takes {most} answers at once.", param="n")
        if self.in_flight + count > most:
            raise Overloaded(
                f"{self.in_flight} answers are running or waiting, the most this server takes.",
                "Try again later; --max-queue lets more wait.",
                retry_after=min(60, max(1, round(self.seconds * (self.in_flight / self.running)))),
            )
        self.in_flight += count
        self.admitted += count
        return Slots(self, count)


class Slots:
    """The places of the answers to one request. Release them in the end; a second time does nothing."""

    def __init__(self, limit: ConcurrencyLimit, count: int) -> None:
        self._limit = limit
        self._count = count

    def release(self, seconds: float | None = None) -> None:
        """Give the places back; ``seconds`` is what the answers took, if they ended by themselves."""
        if not self._count:
            return
        self._limit.in_flight -= self._count
        self._limit.last_ended = time.monotonic()
        self._count = 0
        if seconds is not None:
            self._limit.seconds = MEMORY * self._limit.seconds + (1 - MEMORY) * seconds
