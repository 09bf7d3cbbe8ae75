"""What a front asks of replicas: Ray Serve's, or those of a test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any, Protocol

from .forwarded import ForwardedRequest, WholeAnswer

ELSEWHERE = (429, 503)  # full, down or shutting down: another one may not be


class ReplicaLost(Exception):
    """A replica has ended, or cannot be reached, before its answer was complete."""


class Replicas(Protocol):
    """Processes that run the same application."""

    def answer(
        self, request: ForwardedRequest, key: str | None, avoid: Collection[str], model: int | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """The messages by which a replica answers, the first of which says which one it is.

        ``key`` says what belongs together, ``model`` which of the models it is for; replicas to ``avoid`` are taken
        where there is no other. Closing it cancels the request. Raises ``ReplicaLost``.
        """
        ...

    async def everywhere(self, request: ForwardedRequest, seconds: float) -> Sequence[WholeAnswer]:
        """What each replica answers within so many seconds. Raises ``ReplicaLost``."""
        ...

    async def metrics(self) -> Mapping[str, str]:
        """The metrics of each replica, by its name."""
        ...
