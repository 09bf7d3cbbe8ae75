"""``mistralrs serve --replicas``: the same server in several processes, on Ray Serve."""

import os
import signal
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from ..options import ModelOptions, ServerOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from .interrupt import hand_over
from .params.replicas import ReplicaParams
from .server_log import addresses, banner, log, overview, say, with_page_key

if TYPE_CHECKING:
    from ..engine.info import ModelInfo
    from ..loading import Checkpoint
    from ..registry.served import ServedModels
    from ..server.replicas.cluster import Cluster
    from ..server.replicas.front_service import FrontService
    from ..server.replicas.settings import ReplicaOptions

NO_LIMIT = 4  # replicas at most, with auto, where nothing says how many there is room for


def wanted(given: ReplicaParams, threads: int | None) -> "ReplicaOptions | None":
    """How many replicas; ``None`` where none are asked for. Raises ``OptionError`` for what makes no sense together."""
    from ..server.replicas.settings import ReplicaOptions

    printing = given.print_ray_config or given.print_ray_service
    bounds = {"--min-replicas": given.min_replicas, "--max-replicas": given.max_replicas}
    others = bounds | {"--gpus-per-replica": given.gpus_per_replica, "--ray-address": given.ray_address}
    if given.replicas is None and not printing:
        for option, value in others.items():
            if value is not None:
                raise OptionError(f"{option} needs --replicas.", "For example: --replicas auto")
        return None
    text = given.replicas or "1"
    if text != "auto" and not (text.isdecimal() and int(text) > 0):
        raise OptionError(f"--replicas {text[:40]} is no number of replicas.", "For example: --replicas 2, or auto")
    if text != "auto" and (found := [option for option, value in bounds.items() if value is not None]):
        raise OptionError(f"{found[0]} needs --replicas auto.", "A number of replicas has no bounds.")
    count = None if text == "auto" else int(text)
    least = given.min_replicas or 1
    most = count or given.max_replicas or 0
    if count is None and most and most < least:
        raise OptionError(f"--max-replicas {most} is below --min-replicas {least}.", "Turn them round.")
    return ReplicaOptions(
        count=count,
        least=count or least,
        most=most,
        gpus=given.gpus_per_replica,
        cpus=None if threads is None else float(threads),
        address=given.ray_address,
    )


@dataclass(frozen=True)
class ReplicaServing:
    """A parsed ``serve`` with replicas."""

    served: "ServedModels"
    server: ServerOptions
    how: "ReplicaOptions"
    kind: str | None = None
    quiet: bool = False
    verbose: bool = False
    named: bool = True

    @property
    def model(self) -> ModelOptions:
        """How the first model is loaded."""
        return self.served.specs[0].options

    def run(self, console: Console, models: Models) -> None:
        """Serve until the process is stopped. Bad options are reported before Ray starts."""
        from ..server.http.auth import check as check_access
        from ..server.process import check_certificate
        from ..server.replicas.cluster import require

        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        check_access(self.server)
        check_certificate(self.server)
        require()
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for spec in self.served.specs:
                for notice in models.check(spec.options):
                    text = f"{spec.name}: {notice}" if self.served.several else notice
                    say("note", text, self.server.log_format, console)
            if not self.named:
                note = "serving the bundled demo model; choose another with -m MODEL"
                say("note", note, self.server.log_format, console)
            checkpoint = self.served.open(models, self.kind)[self.served.specs[0].name]
            if (self.how.address or "").startswith("ray://"):
                self._on_cluster(checkpoint, console)
            else:
                self._here(checkpoint, console)

    def _here(self, checkpoint: "Checkpoint", console: Console) -> None:
        """This process listens, and forwards to the replicas."""
        from ..server.process import Server, listen
        from ..server.replicas.front import front_app
        from ..server.replicas.front_service import FrontService

        listener = listen(self.server)
        taken = self.server.port if self.server.uds is not None else listener.getsockname()[1]
        options = with_page_key(replace(self.server, port=taken))  # -p 0 takes any
        service = FrontService(options, self.served, checkpoint.name, self.how.most)

        def log_line(facts: dict[str, object]) -> None:
            log(facts, self.server.log_format, console)

        app = front_app(service, log_line)
        hand_over()
        clusters: list[Cluster] = []
        try:
            server = Server(service, app, log=log_line)
            if server.serve_on(listener, lambda _: clusters.append(self._start(checkpoint, service, console))):
                raise KeyboardInterrupt
        finally:
            for cluster in clusters:
                cluster.close()

    def _start(self, checkpoint: "Checkpoint", service: "FrontService", console: Console) -> "Cluster":
        """Start the replicas, then show the address and an example request."""
        from ..server.replicas.cluster import RayReplicas

        with console.status(f"Starting {self._count()} of {checkpoint.name}") as status:
            cluster, how = self._connect(console)
            try:
                from ..server.replicas.application import replicas_of
                from ..server.replicas.settings import plain, plain_models

                service.limit(how.most)
                application = replicas_of(plain_models(self.served), plain(self.server), self.kind, how)
                replicas = RayReplicas(cluster.run(application, f"mistralrs-{os.getpid()}", None))
                service.replicas = replicas
                facts = replicas.facts()
            except BaseException:
                cluster.close()
                raise
            del status
        self._banner(facts, service.options, how, console)
        return cluster

    def _on_cluster(self, checkpoint: "Checkpoint", console: Console) -> None:
        """The cluster listens: answers cannot be streamed to a program that reaches it as a client of Ray."""
        for option, value in (("--uds", self.server.uds), ("--ssl-certfile", self.server.certificate)):
            if value is not None:
                raise OptionError(f"{option} does not go with --ray-address ray://.", "Put a proxy before the cluster.")
        with console.status(f"Starting {self._count()} of {checkpoint.name}"):
            cluster, how = self._connect(console)
            try:
                from ..server.replicas.application import build
                from ..server.replicas.cluster import RayReplicas
                from ..server.replicas.config import arguments

                args = arguments(self.served, self.server, self.kind, checkpoint.name, how, None)
                args["server"]["api_keys"] = list(self.server.api_keys)
                http = {"host": self.server.host, "port": self.server.port}
                name = f"mistralrs-{os.getpid()}"
                cluster.run(build(args), name, "/", http)
                facts = RayReplicas(cluster.handle("Replica")).facts()
            except BaseException:
                cluster.close()
                raise
        self._banner(facts, self.server, how, console)
        hand_over()
        ended = threading.Event()
        try:
            signal.signal(signal.SIGTERM, lambda *_: ended.set())
            ended.wait()
        finally:
            cluster.close()

    def _connect(self, console: Console) -> "tuple[Cluster, ReplicaOptions]":
        """The cluster, and the replicas by what it has."""
        from ..server.replicas.cluster import Cluster, cores

        how = self.how
        most = how.most or NO_LIMIT
        cpus = how.cpus or (cores(most) if how.address is None else 1.0)
        cluster = Cluster(how.address, most, cpus, verbose=console.verbose)
        have = 0 if self.model.cpu else cluster.gpus()
        gpus = how.gpus if how.gpus is not None else float(have > 0)
        room = int(have // gpus) if gpus else NO_LIMIT
        return cluster, replace(how, most=how.most or max(how.least, room), cpus=cpus, gpus=gpus)

    def _count(self) -> str:
        return f"{self.how.count} replicas" if self.how.count is not None else f"at least {self.how.least} replicas"

    def _banner(self, facts: dict[str, Any], options: ServerOptions, how: "ReplicaOptions", console: Console) -> None:
        from types import SimpleNamespace
        from typing import cast

        number = str(how.count) if how.count is not None else f"{how.least} to {how.most}"
        each = f"{how.gpus:g} GPUs" if how.gpus else f"{how.cpus:g} cores"
        if self.served.several:
            lines = [*overview(self.served), *addresses(options)]
        else:
            lines = [*facts["notes"], *banner(cast("ModelInfo", SimpleNamespace(**facts)), options)]
        for line in (f"{number} replicas with {each} each, on Ray Serve", *lines):
            say("ready", line, self.server.log_format, console)


@dataclass(frozen=True)
class PrintRayConfig:
    """``serve --print-ray-config`` and ``--print-ray-service``."""

    served: "ServedModels"
    server: ServerOptions
    how: "ReplicaOptions"
    kind: str | None = None
    key_file: str | None = None
    keys_typed: bool = False
    service: bool = False

    def run(self, console: Console, models: Models) -> None:
        """Write a configuration to stdout. Options are checked as if it were served."""
        from ..options import short_name
        from ..server.http.auth import check as check_access
        from ..server.replicas.config import arguments, dump, ray_service, serve_config

        if self.keys_typed:
            raise OptionError("A configuration file must not show a key.", "Name a file: --api-key-file FILE")
        options = [spec.options for spec in self.served.specs]
        if any(each.token_source.startswith("literal:") for each in options):
            raise OptionError("A configuration file must not show a token.", "Use --token-source env:NAME.")
        for option, value in (("--uds", self.server.uds), ("--ssl-certfile", self.server.certificate)):
            if value is not None:
                raise OptionError(f"{option} is not for Ray's own proxy.", "Put a proxy before the cluster.")
        check_access(replace(self.server, host="0.0.0.0") if self.service else self.server)
        for each in options:
            models.check(each)
        how = replace(self.how, most=self.how.most or max(self.how.least, NO_LIMIT), cpus=self.how.cpus or 1.0)
        if how.gpus is None:
            how = replace(how, gpus=0.0 if options[0].cpu else 1.0)
        name = (self.server.served_names or (short_name(options[0].model_id),))[0]
        args = arguments(self.served, self.server, self.kind, name, how, self.key_file)
        if self.service:
            args["server"]["host"] = "0.0.0.0"
            found = ray_service(args, self.server.port, how)
        else:
            found = serve_config(args, self.server.host, self.server.port)
        console.answer(dump(found))
