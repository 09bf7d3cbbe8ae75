"""Configuration files for what starts Ray Serve by itself: ``serve deploy``, and KubeRay's operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ... import __version__
from ...options import ServerOptions
from ...registry.served import ServedModels
from .settings import ELSEWHERE, ReplicaOptions, plain, plain_models

BUILDER = "mistralrs_cli.server.replicas.application:build"
RAY = "2.60.0"  # the version that was tried
IMAGE = f"mistralrs-ray:{__version__}"
PLACES = ("host", "port")


def arguments(
    served: ServedModels, server: ServerOptions, kind: str | None, name: str, how: ReplicaOptions, key_file: str | None
) -> dict[str, Any]:
    """The arguments of ``application.build``. Keys stay in their files."""
    replicas = {field: value for field, value in asdict(how).items() if field != "address" and value is not None}
    if how.count is None:
        replicas["count"] = None
    found: dict[str, Any] = {"name": name, "replicas": replicas}
    found |= {"kind": kind} if kind else {}
    found |= {"api_key_file": key_file} if key_file else {}
    options = plain(server, (*ELSEWHERE, "port", "grace"))
    for field in ("keys_file", "batch_folder"):
        if field in options:
            options[field] = str(Path(options[field]).expanduser().absolute())
    return found | plain_models(served) | {"server": options}


def serve_config(args: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
    """A configuration for ``serve deploy``."""
    return {
        "proxy_location": "HeadOnly" if host in ("127.0.0.1", "localhost", "::1") else "EveryNode",
        "http_options": {"host": host, "port": port},
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
        "applications": [
            {"name": "mistralrs", "route_prefix": "/", "import_path": BUILDER, "args": dict(args)},
        ],
    }


def ray_service(args: Mapping[str, Any], port: int, how: ReplicaOptions) -> dict[str, Any]:
    """A ``RayService`` for Kubernetes: one node without work of its own, and as many with replicas as there may be."""
    most = how.count or how.most
    limits: dict[str, Any] = {"cpu": how.cpus or 1, "memory": "16Gi"}
    if how.gpus:
        limits["nvidia.com/gpu"] = max(1, int(how.gpus))
    environment = [{"name": "RAY_USAGE_STATS_ENABLED", "value": "0"}]

    def pod(name: str, resources: Mapping[str, Any], ports: list[dict[str, Any]]) -> dict[str, Any]:
        container: dict[str, Any] = {"name": name, "image": IMAGE, "env": environment}
        container["resources"] = {"limits": dict(resources), "requests": dict(resources)}
        return {"spec": {"containers": [container | ({"ports": ports} if ports else {})]}}

    ports = [
        {"containerPort": number, "name": name}
        for name, number in (("gcs", 6379), ("dashboard", 8265), ("client", 10001), ("serve", port))
    ]
    worker = {
        "groupName": "replicas",
        "replicas": how.count or how.least,
        "minReplicas": how.count or how.least,
        "maxReplicas": most,
        "rayStartParams": {},
        "template": pod("ray-worker", limits, []),
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "mistralrs"},
        "spec": {
            "serveConfigV2": dump(serve_config(args, "0.0.0.0", port)),
            "rayClusterConfig": {
                "rayVersion": RAY,
                "enableInTreeAutoscaling": how.count is None,
                "headGroupSpec": {
                    "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
                    "template": pod("ray-head", {"cpu": 2, "memory": "4Gi"}, ports),
                },
                "workerGroupSpecs": [worker],
            },
        },
    }


def dump(value: Mapping[str, Any]) -> str:
    """As YAML, in the order given."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it ships no types
        """Texts of several lines as they are."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    found: str = yaml.dump(dict(value), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return found
