"""What the engine asks of a KV cache, whatever its layout in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from .snapshot import SequenceCache, Snapshot


class KVCache(Protocol):
    """The keys and values of sequences that decode together, one row for each, in the order they were added.

    A method that fails leaves the cache as it was before, so that it can be called again with more memory.
    """

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row."""

    @property
    def rows(self) -> int:
        """Rows that a step has: those, and maybe unused ones behind them."""

    @property
    def batchable(self) -> bool:
        """Whether it may have several rows and a step can be rolled back. Otherwise a failed step loses its one row."""

    @property
    def bytes_per_token(self) -> float:
        """Bytes of keys and values of one token of one row."""

    def add(self, prefilled: SequenceCache) -> None:
        """Append a row. Takes over what it is given."""

    def remove(self, rows: Collection[int]) -> None:
        """Remove these rows. Never fails for want of memory."""

    def step_inputs(self) -> dict[str, Any]:
        """Keyword arguments of the model for one more token of every row. ``commit`` or ``rollback`` has to follow."""

    def commit(self) -> None:
        """Keep the token that the model has added to every row."""

    def rollback(self) -> None:
        """Drop what the model has written since ``step_inputs``."""

    def snapshot(self, row: int) -> Snapshot:
        """A copy of one row. ``Snapshot.restored`` makes a cache of it that can be added again."""

    @staticmethod
    def footprint(lengths: Sequence[int]) -> int:
        """How many tokens' memory rows of these lengths take together."""
