"""Memory that all requests share, for their bodies or their decoded media: who has how much of it, and who waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ...errors import Overloaded

PATIENCE = 10.0  # seconds that a request waits for others to let go


class MemoryBudget:
    """Bytes that all may take together; ``size`` says how many. Used from the event loop alone.

    ``full`` is what those are told who have waited in vain.
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
        """Bytes that nobody has, or waits for."""
        return 0 if self._queue else max(0, self.size() - self.held)

    async def take(self, share: Reservation, count: int) -> None:
        """Have ``share`` hold ``count`` bytes more once they fit, in turn; whoever holds all there is may always.

        Who holds some already comes first: it lets go the sooner. Raises ``Overloaded`` after ``PATIENCE``.
        """
        place = share, count, asyncio.get_running_loop().create_future()
        self._queue.insert(0 if share.held else len(self._queue), place)
        self.advance()
        try:
            await asyncio.wait_for(place[2], PATIENCE)
        except TimeoutError as error:
            raise Overloaded(
                self.full,
                "Try again later, or send fewer or smaller ones.",
                retry_after=max(1, round(PATIENCE)),
            ) from error
        finally:
            if place in self._queue:
                self._queue.remove(place)
                self.advance()

    def advance(self) -> None:
        """Let those in whose turn it is."""
        while self._queue:
            share, count, turn = self._queue[0]
            if self.held + count > self.size() and self.held > share.held:
                return
            self._queue.popleft()
            if not turn.done():
                share.held += count
                self.held += count
                turn.set_result(None)


class Reservation:
    """What one request holds of a room. Release it in the end; a second time does nothing."""

    def __init__(self, room: MemoryBudget) -> None:
        self.room = room
        self.held = 0

    async def take(self, count: int) -> None:
        """Hold ``count`` bytes more. Raises ``Overloaded``."""
        if count:
            await self.room.take(self, count)

    def resize(self, count: int) -> None:
        """Hold ``count`` bytes, no more and no less, since that is what is there."""
        self.room.held += count - self.held
        self.held = count
        self.room.advance()

    def release(self) -> None:
        """Hold nothing."""
        self.resize(0)
