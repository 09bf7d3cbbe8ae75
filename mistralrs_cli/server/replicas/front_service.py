"""The service of a front: all that is one for all replicas."""

from __future__ import annotations

from typing import Protocol

from ...errors import MistralrsError, ModelNotFound, ShuttingDown
from ...options import ServerOptions
from ...registry import ModelRegistry
from ...registry.served import ServedModels
from ..backend import Backend
from ..served_model import ServedModel, still_loading
from ..service import Service, nothing_to_load
from .protocol import Replicas


class Ending(Protocol):
    """A request on its way."""

    def abort(self, error: MistralrsError) -> None:
        """End with an error."""
        ...


class FrontService(Service):
    """What the front shares with a server of one process: options, keys, the bounds of bodies and of requests, batch
    jobs, its end.

    ``most`` is how many replicas there may be. It never has a model of its own.
    """

    def __init__(self, options: ServerOptions, served: ServedModels, name: str, most: int) -> None:
        registry = ModelRegistry[Backend](served.specs, nothing_to_load) if served.several else None
        super().__init__(options, name, served.specs[0].options.max_seqs, registry)
        self.registry.set_default(served.default if served.several else name)
        self._running = sum(spec.options.max_seqs for spec in served.specs)
        self.limit(most)
        self.replicas: Replicas | None = None
        self.forwarded: set[Ending] = set()

    def limit(self, most: int) -> None:
        """Take as many requests at a time as so many replicas do together."""
        self.concurrency.running = self._running * most
        self.concurrency.queue = self.options.queue * len(self.models) * most

    def check_open(self, model: ServedModel) -> None:
        """Raise 503: requests that come here came before the replicas."""
        if self.draining:
            raise ShuttingDown("The server is shutting down.", "Try again later.")
        raise still_loading(model.name)

    def place(self, name: str | None) -> int | None:
        """The number of the model that a request names, among the models; ``None`` for a name of none."""
        try:
            return self.models.index(self.model(name))
        except ModelNotFound:
            return None

    def end_all(self) -> None:
        """End all running answers with an error, since the server is about to end."""
        for forward in list(self.forwarded):
            forward.abort(ShuttingDown("The server is shutting down.", "Try again later."))
