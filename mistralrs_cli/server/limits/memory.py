"""Memory that all requests share, for their bodies or their media: who holds how much, and who waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ...errors import Overloaded

PATIENCE = 10.0  # seconds that a request waits for memory of others


class MemoryBudget:
    """``size()`` bytes that all requests share. Used from the event loop alone.

    ``full`` is the message of ``Overloaded`` for a request that waited in vain.
    """

    def __init__(
        self,
        size: Callable[[], int],
        full: str = "The media of other requests take all the memory there is for media.",
    ) -> None:
        self.size = size
        self.full = full
        self.held = 0
        self._queue: deque[tuple[Reservation, int, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> int:
        """Bytes that are neither reserved nor waited for."""
        return 0 if self._queue else max(0, self.size() - self.held)

    async def take(self, reservation: Reservation, count: int) -> None:
        """Add ``count`` bytes to a reservation once they fit, first come, first served.

        A reservation that holds something already comes before those that hold nothing: it ends the sooner. One that
        is alone may take more than there is. Raises ``Overloaded`` after ``PATIENCE`` seconds.
        """
        waiter = reservation, count, asyncio.get_running_loop().create_future()
        self._queue.insert(0 if reservation.held else len(self._queue), waiter)
        self.advance()
        try:
            async with asyncio.timeout(PATIENCE):
                await waiter[2]
        except TimeoutError as error:
            raise Overloaded(
                self.full,
                "Try again later, or send fewer or smaller ones.",
                retry_after=max(1, round(PATIENCE)),
            ) from error
        finally:
            if waiter in self._queue:
                self._queue.remove(waiter)
                self.advance()

    def advance(self) -> None:
        """Serve the waiting requests that fit by now, in order."""
        while self._queue:
            reservation, count, turn = self._queue[0]
            if self.held + count > self.size() and self.held > reservation.held:
                return
            self._queue.popleft()
            if not turn.done():
                reservation.held += count
                self.held += count
                turn.set_result(None)


class Reservation:
    """The bytes of a budget that one request holds. Release it in the end; a second time does nothing."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.held = 0

    async def take(self, count: int) -> None:
        """Hold ``count`` bytes more. Raises ``Overloaded``."""
        if count:
            await self.budget.take(self, count)

    def resize(self, count: int) -> None:
        """Hold exactly ``count`` bytes, whatever the budget: that many are in use."""
        self.budget.held += count - self.held
        self.held = count
        self.budget.advance()

    def release(self) -> None:
        """Give all bytes back."""
        self.resize(0)
