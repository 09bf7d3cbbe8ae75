"""Ray: a cluster of this process or another one, and the replicas that run on it."""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any

from ...errors import ModelError, OptionError, first_line
from .compat import end_own_cluster
from .forwarded import ForwardedRequest, WholeAnswer
from .protocol import ReplicaLost

METRICS_SECONDS = 5.0  # that all replicas have for their metrics
FACTS_SECONDS = 60.0  # for the first call of a replica that is ready
OBJECT_STORE = 2**30  # bytes, at most, for request bodies on their way
LOCAL = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_DEDUP_LOGS": "0",
}
"""A cluster of this process: it listens on this machine's own address, and only for who has the token."""


class RayReplicas:
    """The replicas behind a handle of Ray Serve."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def answer(
        self, request: ForwardedRequest, key: str | None, avoid: Collection[str], model: int | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """The messages by which a replica answers. Closing it cancels the request there."""
        from ray.exceptions import RayActorError, RayTaskError, WorkerCrashedError
        from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

        from .router import NO_KEY

        options = self._handle.options(stream=True, session_id=key or NO_KEY)
        messages = options.answer.remote(request, avoid=tuple(avoid), model=model)
        done = False
        try:
            async for message in messages:
                yield message
            done = True
        except RayTaskError:
            done = True
            raise
        except (RayActorError, WorkerCrashedError, BackPressureError, DeploymentUnavailableError) as error:
            done = True
            raise ReplicaLost(str(error)) from error
        finally:
            if not done:
                messages.cancel()

    async def everywhere(self, request: ForwardedRequest, seconds: float) -> Sequence[WholeAnswer]:
        """What each replica answers within so many seconds."""
        found: Sequence[WholeAnswer] = await self._broadcast("whole", seconds, request)
        return found

    async def metrics(self) -> Mapping[str, str]:
        """The metrics of each replica that gives them in time; none while there is no replica or one has just ended."""
        try:
            return dict(await self._broadcast("metrics", METRICS_SECONDS))
        except ReplicaLost:
            return {}

    async def _broadcast(self, method: str, seconds: float, *arguments: object) -> Any:
        from ray.exceptions import RayError
        from ray.serve.exceptions import DeploymentUnavailableError, RayServeException

        try:
            return await self._handle.broadcast(method, *arguments).results_async(timeout_s=seconds)
        except (RayError, RayServeException, DeploymentUnavailableError, TimeoutError) as error:
            raise ReplicaLost(str(error)) from error

    def facts(self) -> dict[str, Any]:
        """What a banner says of the model. Blocks."""
        found: dict[str, Any] = self._handle.facts.remote().result(timeout_s=FACTS_SECONDS)
        return found


def require() -> None:
    """Raise ``OptionError`` where Ray is not installed."""
    if find_spec("ray") is None:  # asking for ray.serve would import ray, before its environment is set
        raise OptionError("Replicas need Ray Serve, which is not installed.", 'pip install "mistralrs[ray]"')


class Cluster:
    """A Ray cluster: one of this process, which ends with it, or another one, on which only our application ends."""

    def __init__(self, address: str | None, most: int, cpus: float, *, verbose: bool = False) -> None:
        """Connect, or start one for at most ``most`` replicas of ``cpus`` cores. Raises ``OptionError``."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if address is None:
            os.environ.update(LOCAL | {"RAY_AUTH_TOKEN": secrets.token_hex(32)})
        import ray

        own: dict[str, Any] = {
            "num_cpus": max(os.cpu_count() or 1, math.ceil(most * cpus)),
            "include_dashboard": False,
            "object_store_memory": object_store(),
        }
        logging.getLogger("ray").setLevel(logging.WARNING if verbose else logging.ERROR)

        def connect() -> None:
            ray.init(
                address or "local",
                namespace="mistralrs",
                logging_level="WARNING" if verbose else "ERROR",
                log_to_driver=verbose,
                configure_logging=verbose,
                **(own if address is None else {}),
            )

        try:
            in_lasting_thread(connect)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise OptionError(
                f"Ray at {address}: {first_line(error)}" if address else f"Ray cannot start: {first_line(error)}",
                "Without an address, Ray is started on this machine." if address else "See what ray start says.",
            ) from error
        self.address = address
        self.name: str | None = None

    def gpus(self) -> int:
        """How many GPUs there are."""
        import ray

        return int(ray.cluster_resources().get("GPU", 0))

    def run(self, application: Any, name: str, prefix: str | None, http: Mapping[str, Any] | None = None) -> Any:
        """Start an application and wait until it is ready; returns its handle. Raises ``ModelError`` where it fails.

        ``http`` are options for Ray's own proxy, which does not run otherwise.
        """
        from ray import serve

        serve.start(
            **({"proxy_location": "Disabled"} if http is None else {"proxy_location": "HeadOnly", "http_options": http})
        )
        self.name = name
        try:
            return serve.run(application, name=name, route_prefix=prefix, logging_config=LOGGING)
        except RuntimeError as error:
            found = serve.status().applications.get(name)
            said = [one.message for one in found.deployments.values() if one.message] if found else []
            why = last_line(said[0]) if said else first_line(error)
            raise ModelError(f"No replica could start: {why}", "Serve it in one process to see more of it.") from error

    def handle(self, deployment: str) -> Any:
        """A deployment of the application that runs."""
        from ray import serve

        return serve.get_deployment_handle(deployment, app_name=self.name)

    def close(self) -> None:
        """End the application, and the cluster if it is of this process."""
        if self.address is None:
            end_own_cluster()
            return
        import ray
        from ray import serve

        if self.name is not None and ray.is_initialized():
            serve.delete(self.name)
        ray.shutdown()


LOGGING = {"log_level": "WARNING", "enable_access_log": False}


def cores(most: int) -> float:
    """How many of this machine's cores each of ``most`` replicas gets: whole ones, one at least."""
    return float(max(1, (os.cpu_count() or 1) // most))


def in_lasting_thread(work: Callable[[], None]) -> None:
    """Do something in a thread that stays as long as the process. Raises what it raises.

    Linux ends the processes that Ray starts when the thread ends that started them, not only when its process does.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            done.set_exception(error)
            return
        done.set_result(None)
        threading.Event().wait()

    threading.Thread(target=run, name="ray", daemon=True).start()
    done.result()


def object_store() -> int:
    """Bytes of shared memory for bodies on their way: a GiB, or a tenth of what is free where that is less."""
    from psutil import virtual_memory

    free: int = virtual_memory().available
    return max(100 * 2**20, min(OBJECT_STORE, free // 10))


def last_line(text: str) -> str:
    """The line of a traceback that says what was wrong."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else text
