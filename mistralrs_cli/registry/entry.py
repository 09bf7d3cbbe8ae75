"""A model of a registry: whether it is loaded, who uses it and who waits for it; and the right to use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from .spec import ModelSpec

Status = Literal["loaded", "loading", "unloaded"]


class Loaded(Protocol):
    """An engine, as far as a registry knows one."""

    def close(self) -> None:
        """End it."""
        ...


AnyEngine = TypeVar("AnyEngine", bound=Loaded)


class ModelEntry(Generic[AnyEngine]):
    """The state of one model. Its registry changes it, under its lock; anyone may read it.

    ``users`` requests have a lease on ``engine``; ``waiting`` are those that get one once it is loaded. The ``patient``
    ones of them let other models answer first.
    ``unloading`` has it unloaded as soon as nothing uses it, ``unloads`` get their result when that is done.
    ``activity`` is what goes on while it is loading, ``error`` what the last attempt to load it has raised, ``seconds``
    what the last one took. ``checkpoint`` belongs to the function that starts it, which opens it again
    where it is ``stale``.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.engine: AnyEngine | None = None
        self.loading = False
        self.unloading = False
        self.users = 0
        self.waiting: list[Future[Lease[AnyEngine]]] = []
        self.patient: set[Future[Lease[AnyEngine]]] = set()
        self.unloads: list[Future[None]] = []
        self.last_used = time.monotonic()
        self.expires: float | None = None
        self.activity = f"Loading {spec.name}"
        self.error: BaseException | None = None
        self.loads = 0
        self.seconds: float | None = None
        self.checkpoint: Any = None
        self.stale = False

    @property
    def name(self) -> str:
        """Its own name."""
        return self.spec.name

    @property
    def urgent(self) -> bool:
        """Whether one that waits is not patient."""
        return any(future not in self.patient for future in self.waiting)

    @property
    def status(self) -> Status:
        """Whether it is in memory; a model that requests wait for is loading."""
        if self.engine is not None:
            return "loaded"
        return "loading" if self.loading or self.waiting else "unloaded"


Release = Callable[["float | None"], None]


class Lease(Generic[AnyEngine]):
    """Holds ``engine`` in memory until it is released; a second release does nothing.

    ``keep`` are the idle seconds that its model stays afterwards, ``inf`` for ever; ``None``: as its options say.
    """

    def __init__(self, entry: ModelEntry[AnyEngine], engine: AnyEngine, release: Release) -> None:
        self.entry = entry
        self.engine = engine
        self.keep: float | None = None
        self._release: Release | None = release

    def release(self) -> None:
        """Give it back."""
        release, self._release = self._release, None
        if release is not None:
            release(self.keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
