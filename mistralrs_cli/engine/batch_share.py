"""How much time requests of priority ``batch`` get while interactive ones are answered."""

from __future__ import annotations

SHARE = 0.1  # of the worker's time: what an interactive answer is slowed down by at most, and no batch stands still


class BatchShare:
    """A credit in seconds that interactive work earns and batch work spends. One step or chunk may overdraw it."""

    def __init__(self, share: float = SHARE) -> None:
        self.credit = 0.0
        self._rate = share / (1 - share)

    @property
    def due(self) -> bool:
        """Whether it is the batches' turn."""
        return self.credit > 0

    def spent(self, seconds: float, *, batch: bool) -> None:
        """So long was worked, while both wanted to."""
        self.credit += -seconds if batch else seconds * self._rate

    def clear(self) -> None:
        """Begin again: no interactive request is there."""
        self.credit = min(self.credit, 0.0)
