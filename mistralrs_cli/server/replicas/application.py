"""The application on Ray Serve: a deployment of replicas, and one of the front where no program of ours is it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from ...errors import OptionError
from ...options import ServerOptions, short_name
from ...registry import ModelEntry
from ...registry.registry import Event
from ...start import Models
from ..app import create_app
from ..http.middleware import RequestMiddleware
from ..service import Service
from .cluster import RayReplicas
from .forwarded import REPLICA, ForwardedRequest, WholeAnswer, answer, note, whole_answer
from .front import front_app
from .front_service import FrontService
from .settings import ReplicaOptions, keys_of, of_replica, plain, read, read_models

ROUTER = "mistralrs_cli.server.replicas.router.ConversationRouter"
SPARE = 64  # requests beside answers, such as for metrics, that a replica takes at a time
LONGEST = 3600.0  # seconds that running answers of a replica get to end when it is replaced
HEALTH_SECONDS = 2.0  # between two checks; a replica whose engine is down is replaced after three


class Replica:
    """One process with the models and the whole application of ``mistralrs serve``."""

    def __init__(self, models: Mapping[str, Any], server: Mapping[str, Any], kind: str | None = None) -> None:
        served, starter = read_models(models), Models(own_process=True)
        checkpoints = served.open(starter, kind)
        registry = served.registry(checkpoints, starter, kind=kind, on_failure=log_failure, on_event=self._happened)
        first = served.specs[0]
        self.name = serve.get_replica_context().replica_id.unique_id
        self.service = Service(
            read(ServerOptions, server), checkpoints[first.name].name, first.options.max_seqs, registry
        )
        self.app = create_app(self.service, log)
        with registry.use(self.service.default.entry):
            registry.load_at_start()

    def _happened(self, entry: ModelEntry[Any], event: Event) -> None:
        """Count that a model was loaded, or could not be."""
        if event in ("loaded", "failed"):
            next(model for model in self.service.models if model.entry is entry).metrics.loaded(event)

    async def answer(
        self, request: ForwardedRequest, avoid: tuple[str, ...] = (), model: int | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """The messages by which the application answers, after the name of this replica.

        ``avoid`` and ``model`` are for the router.
        """
        yield {"type": REPLICA, "name": self.name}
        async for message in answer(self.app, request):
            yield message

    async def whole(self, request: ForwardedRequest) -> WholeAnswer:
        """The whole response of the application."""
        return await whole_answer(self.app, request)

    async def metrics(self) -> tuple[str, str]:
        """The name of this replica and its metrics."""
        return self.name, self.service.metrics.text().decode()

    async def facts(self) -> dict[str, Any]:
        """What the banner says of the default model."""
        async with self.service.using(self.service.default) as backend:
            info = backend.info
        return {name: getattr(info, name) for name in FACTS} | {"modalities": list(info.modalities)}

    def check_health(self) -> None:
        """Raise what the only engine failed with: Ray then replaces this replica. One of several is loaded again."""
        backend = self.service.backend
        if not self.service.several and backend is not None and (failure := backend.stats.failure) is not None:
            raise failure

    def __del__(self) -> None:
        service = getattr(self, "service", None)
        if service is not None:
            service.close()


FACTS = ("name", "family", "dtype", "device", "context_length", "notes")


def log(facts: dict[str, object]) -> None:
    """Send the log line of a request with its answer; everything else goes to Ray's log of this process."""
    if not note(facts):
        sys.stderr.write(json.dumps(facts, ensure_ascii=False) + "\n")


def log_failure(entry: ModelEntry[Any], error: BaseException) -> None:
    """Log a failure that ends all requests of a model."""
    log({"event": "failure", "model": entry.name, "error": f"{type(error).__name__}: {error}"[:500]})


class FrontDeployment:
    """The front as a deployment: where ``serve deploy`` or Kubernetes starts everything, Ray's proxy listens."""

    def __init__(
        self, replicas: DeploymentHandle, models: Mapping[str, Any], server: Mapping[str, Any], name: str, most: int
    ) -> None:
        self.service = FrontService(read(ServerOptions, server), read_models(models), name, most)
        self.service.replicas = RayReplicas(replicas)
        self._keys = self._keys_changed()

    def __serve_build_asgi_app__(self) -> RequestMiddleware:  # Ray's name
        """The application, once ``__init__`` is done."""
        return front_app(self.service, log)

    async def check_health(self) -> None:
        """Read the file of keys again where it has changed, since this process gets no signal; go on with batch jobs.

        An earlier front has those until it has ended.
        """
        if self.service.batches is not None:
            self.service.batches.resume()
        changed = self._keys_changed()
        if changed != self._keys:
            self._keys = changed
            try:
                log({"event": "keys", "keys": self.service.keys.reload()})
            except OptionError as error:
                log({"event": "keys", "keys": "unchanged", "error": error.message})

    def _keys_changed(self) -> float:
        file = self.service.keys.file
        try:
            return 0.0 if file is None else Path(file).expanduser().stat().st_mtime
        except OSError:
            return 0.0


def replicas_of(
    models: Mapping[str, Any], server: Mapping[str, Any], kind: str | None, how: ReplicaOptions
) -> serve.Application:
    """The deployment of the replicas."""
    served, limits = read_models(models), of_replica(read(ServerOptions, server))
    running = sum(spec.options.max_seqs for spec in served.specs)
    half = max(1, served.specs[0].options.max_seqs // 2)
    scaling: dict[str, Any] = {"num_replicas": how.count}
    if how.count is None:
        scaling = {
            "autoscaling_config": {
                "min_replicas": how.least,
                "max_replicas": how.most,
                "target_ongoing_requests": half,
            }
        }
    deployment = serve.deployment(
        name="Replica",
        max_ongoing_requests=2 * running + limits.queue * len(served.specs) + SPARE,
        ray_actor_options={"num_cpus": how.cpus or 0, "num_gpus": how.gpus or 0},
        request_router_config={
            "request_router_class": ROUTER,
            "request_router_kwargs": {
                "free": half,
                "models": len(served.specs),
                "loaded": served.limits.loaded or len(served.specs),
            },
        },
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=LONGEST,
        graceful_shutdown_wait_loop_s=0.5,
        **scaling,
    )(Replica)
    return deployment.bind(dict(models), plain(limits), kind)


def build(args: Mapping[str, Any]) -> serve.Application:
    """The application of a configuration file, whose ``args`` ``mistralrs serve --print-ray-config`` writes."""
    how = ReplicaOptions(**args.get("replicas", {}))
    models = {name: args[name] for name in ("models", "default", "max_models_loaded") if name in args}
    server = dict(args.get("server", {}))
    if keys := keys_of(args.get("api_key_file")):
        server["api_keys"] = list(keys)
    replicas = replicas_of(models, server, args.get("kind"), how)
    front = serve.deployment(
        name="Front",
        max_ongoing_requests=10_000,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=LONGEST,
    )(serve.ingress()(FrontDeployment))
    name = args.get("name") or short_name(read_models(models).specs[0].options.model_id)
    return front.bind(replicas, models, server, name, how.count or how.most)
