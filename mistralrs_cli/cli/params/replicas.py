"""The panel Replicas of ``serve``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .option import REPLICAS, at_least, flag_in, option_in

option, flag = option_in(REPLICAS), flag_in(REPLICAS)


@dataclass(frozen=True)
class ReplicaParams:
    """How many processes serve the model, and on which cluster."""

    replicas: Annotated[
        str | None, option("--replicas", metavar="N|auto", help="So many processes with the model, by Ray Serve.")
    ] = None
    min_replicas: Annotated[
        int | None,
        option("--min-replicas", metavar="N", callback=at_least(1), help="With auto: fewest, 1 by default."),
    ] = None
    max_replicas: Annotated[
        int | None,
        option("--max-replicas", metavar="N", callback=at_least(1), help="With auto: most, what there are GPUs for."),
    ] = None
    gpus_per_replica: Annotated[
        float | None,
        option("--gpus-per-replica", metavar="N", callback=at_least(0), help="GPUs of each, 1 where there are any."),
    ] = None
    ray_address: Annotated[
        str | None,
        option("--ray-address", metavar="ADDRESS", help="Use this Ray cluster: auto, HOST:PORT or ray://HOST:PORT."),
    ] = None
    print_ray_config: Annotated[
        bool, flag("--print-ray-config", help="Write a file for serve deploy to stdout, and start nothing.")
    ] = False
    print_ray_service: Annotated[
        bool, flag("--print-ray-service", help="Write a RayService for Kubernetes to stdout, and start nothing.")
    ] = False
