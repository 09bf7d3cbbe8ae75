"""The application on Ray Serve: a deployment of replicas, and one of the front where no program of ours is it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from ...options import ModelOptions, ServerOptions
from ...start import Models
from ..app import create_app
from ..http.middleware import RequestMiddleware
from ..service import Service
from .cluster import RayReplicas
from .forwarded import REPLICA, ForwardedRequest, answer, note
from .front import FrontService, front_app
from .settings import ReplicaOptions, keys_of, read

ROUTER = "mistralrs_cli.server.replicas.router.ConversationRouter"
SPARE = 64  # requests beside answers, such as for metrics, that a replica takes at a time
LONGEST = 3600.0  # seconds that running answers of a replica get to end when it is replaced
HEALTH_SECONDS = 2.0  # between two checks; a replica whose engine is down is replaced after three


class Replica:
    """One process with a model and the whole application of ``mistralrs serve``."""

    def __init__(self, model: Mapping[str, Any], server: Mapping[str, Any], kind: str | None = None) -> None:
        options = read(ModelOptions, model)
        models = Models(own_process=True)
        checkpoint = models.open(options, kind, speech=True)
        self.name = serve.get_replica_context().replica_id.unique_id
        self.service = Service(read(ServerOptions, server), checkpoint.name, options.max_seqs)
        self.app = create_app(self.service, log)
        self.service.backend = models.start(
            checkpoint, options, prefixes=options.prefix_cache_n, on_failure=log_failure
        )

    async def answer(self, request: ForwardedRequest, avoid: tuple[str, ...] = ()) -> AsyncGenerator[dict[str, Any]]:
        """The messages by which the application answers, after the name of this replica."""
        yield {"type": REPLICA, "name": self.name}
        async for message in answer(self.app, request):
            yield message

    async def metrics(self) -> tuple[str, str]:
        """The name of this replica and its metrics."""
        return self.name, self.service.metrics.text().decode()

    async def facts(self) -> dict[str, Any]:
        """What the banner says of the model."""
        info = self.service.default.ready().info
        return {name: getattr(info, name) for name in FACTS} | {"modalities": list(info.modalities)}

    def check_health(self) -> None:
        """Raise what the engine failed with: Ray then replaces this replica."""
        self.service.default.ready()

    def __del__(self) -> None:
        service = getattr(self, "service", None)
        if service is not None:
            service.close()


FACTS = ("name", "family", "dtype", "device", "context_length", "notes")


def log(facts: dict[str, object]) -> None:
    """Send the log line of a request with its answer; everything else goes to Ray's log of this process."""
    if not note(facts):
        sys.stderr.write(json.dumps(facts, ensure_ascii=False) + "\n")


def log_failure(error: BaseException) -> None:
    """Log a failure that ends all requests."""
    log({"event": "failure", "error": f"{type(error).__name__}: {error}"[:500]})


class FrontDeployment:
    """The front as a deployment: where ``serve deploy`` or Kubernetes starts everything, Ray's proxy listens."""

    def __init__(
        self, replicas: DeploymentHandle, server: Mapping[str, Any], name: str, running: int, most: int
    ) -> None:
        options = read(ServerOptions, server)
        self.service = FrontService(options, name, running, most)
        self.service.replicas = RayReplicas(replicas)
        self.options = options

    def __serve_build_asgi_app__(self) -> RequestMiddleware:  # Ray's name
        """The application, once ``__init__`` is done."""
        return front_app(self.service, log)


def replicas_of(
    model: Mapping[str, Any], server: Mapping[str, Any], kind: str | None, how: ReplicaOptions
) -> serve.Application:
    """The deployment of the replicas."""
    options, limits = read(ModelOptions, model), read(ServerOptions, server)
    scaling: dict[str, Any] = {"num_replicas": how.count}
    if how.count is None:
        scaling = {
            "autoscaling_config": {
                "min_replicas": how.least,
                "max_replicas": how.most,
                "target_ongoing_requests": max(1, options.max_seqs // 2),
            }
        }
    deployment = serve.deployment(
        name="Replica",
        max_ongoing_requests=options.max_seqs + limits.queue + SPARE,
        ray_actor_options={"num_cpus": how.cpus or 0, "num_gpus": how.gpus or 0},
        request_router_config={
            "request_router_class": ROUTER,
            "request_router_kwargs": {"free": max(1, options.max_seqs // 2)},
        },
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=LONGEST,
        graceful_shutdown_wait_loop_s=0.5,
        **scaling,
    )(Replica)
    return deployment.bind(dict(model), dict(server), kind)


def build(args: Mapping[str, Any]) -> serve.Application:
    """The application of a configuration file, whose ``args`` ``mistralrs serve --print-ray-config`` writes."""
    how = ReplicaOptions(**args.get("replicas", {}))
    model = dict(args.get("model", {}))
    server = dict(args.get("server", {}))
    if keys := keys_of(args.get("api_key_file")):
        server["api_keys"] = list(keys)
    options = read(ModelOptions, model)
    replicas = replicas_of(model, server, args.get("kind"), how)
    front = serve.deployment(
        name="Front",
        max_ongoing_requests=10_000,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=LONGEST,
    )(serve.ingress()(FrontDeployment))
    name = args.get("name") or options.model_id
    return front.bind(replicas, server, name, options.max_seqs, how.count or how.most)
