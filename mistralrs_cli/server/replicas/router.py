"""How Ray Serve chooses a replica for a request of ours: by its conversation, with bounded loads."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

from .ring import FREE, HashRing, homes, ranked

NO_KEY = "mistralrs-no-key"
FINISHED = 1000  # requests that ended before they counted as begun


class ConversationRouter(ConsistentHashRouter):  # type: ignore[misc]  # Ray may not be installed
    """Ray's router for consistent hashing, with our ring and our bound.

    Its ring knows no loads. What it runs is counted here, for the requests of this process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ring = HashRing(())
        self._running: dict[str, str] = {}
        self._loads: Counter[str] = Counter()
        self._finished: deque[str] = deque(maxlen=FINISHED)
        self._free = FREE
        self._models, self._loaded = 1, 1

    def initialize_state(self, free: int = FREE, models: int = 1, loaded: int = 1, **kwargs: Any) -> None:
        """Take the settings of ``replicas_of``: ``free`` is that of ``ranked``, the others those of ``homes``."""
        super().initialize_state(**kwargs)
        self._free = free
        self._models, self._loaded = models, loaded

    def update_replicas(self, replicas: list[Any]) -> None:
        """Take the replicas that are there now."""
        super().update_replicas(replicas)
        self._rebuild()

    def on_replica_actor_died(self, replica_id: Any) -> None:
        """Forget a replica at once."""
        super().on_replica_actor_died(replica_id)
        self._rebuild()

    def _rebuild(self) -> None:
        names = {replica_id.unique_id for replica_id in self._replicas}
        if names != self._ring.replicas:
            self._ring = HashRing(names)
            self._running = {request: name for request, name in self._running.items() if name in names}
            self._loads = Counter(self._running.values())

    async def choose_replicas(self, candidate_replicas: list[Any], pending_request: Any = None) -> list[list[Any]]:
        """The candidates, one a rank: Ray takes the first that accepts the request."""
        if pending_request is None or not candidate_replicas:
            return [candidate_replicas] if candidate_replicas else []
        pending_request.routing_context.should_backoff = True
        by_name = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        key = pending_request.metadata.session_id
        avoid = pending_request.kwargs.get("avoid", ())
        near = None
        model = pending_request.kwargs.get("model")
        if model is not None and self._loaded < self._models:
            near = homes(self._ring.replicas, model, self._models, self._loaded)
        order = ranked(self._ring, None if key == NO_KEY else key, self._loads, avoid, free=self._free, near=near)
        return [[by_name[name]] for name in order if name in by_name]

    def on_request_routed(self, pending_request: Any, replica_id: Any, result: Any) -> None:
        """Count a request that a replica has taken."""
        request = pending_request.metadata.internal_request_id
        if request in self._finished:
            self._finished.remove(request)
        else:
            self._running[request] = replica_id.unique_id
            self._loads[replica_id.unique_id] += 1

    def on_request_completed(self, replica_id: Any, internal_request_id: str) -> None:
        """Count it no more."""
        name = self._running.pop(internal_request_id, None)
        if name is None:
            self._finished.append(internal_request_id)
        else:
            self._loads[name] -= 1
