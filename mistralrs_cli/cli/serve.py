"""``mistralrs serve``: the model behind an HTTP interface."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ..errors import OptionError, first_line
from ..folders import state_folder
from ..named_files import named_text
from ..options import ModelOptions, ServerOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.cursor import end_progress
from ..terminal.libraries import quiet_libraries
from .command import options_for
from .given import exclusive, model_options, require_name
from .interrupt import hand_over
from .job import Job
from .kind import check_kind
from .page import open_page
from .params.arguments import Kind
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.media import MediaParams
from .params.model import ModelParams
from .params.models import ModelsParams
from .params.option import MODEL, option_in
from .params.output import LogFormatName, LogRequests, QuietServer, VerboseLibraries
from .params.replicas import ReplicaParams
from .params.server import GIBIBYTE, MEBIBYTE, LimitParams, ServerParams
from .replicas import PrintRayConfig, ReplicaServing, wanted
from .server_log import addresses, banner, log, overview, place, say, with_page_key

if TYPE_CHECKING:
    from socket import socket

    from ..attach.record import EngineRecord
    from ..loading import Checkpoint
    from ..registry import ModelEntry
    from ..registry.registry import Event
    from ..registry.served import ServedModels
    from ..server.service import Service


@takes_groups
def serve(
    *,
    ctx: typer.Context,
    kind: Kind = None,
    server: ServerParams,
    limits: LimitParams,
    replicas: ReplicaParams,
    log_requests: LogRequests = False,
    log_format: LogFormatName = ServerOptions.log_format,
    model_id: Annotated[
        list[str] | None,
        option_in(MODEL)(
            "-m",
            "--model-id",
            metavar="MODEL",
            help="A Hugging Face model or a folder; MODEL@quant=4,alias=NAME has options of its own. Repeatable.",
        ),
    ] = None,
    several: ModelsParams,
    model: Annotated[ModelParams, Except("model_id")],
    reading: Annotated[MediaParams, Only("max_edge")],
    hardware: HardwareParams,
    quiet: QuietServer = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Serve a model over HTTP, as OpenAI and Anthropic do: text, images, audio and video.

    mistralrs serve -p 1234 -m google/gemma-4-E4B-it --quant 4

    Only this machine can reach it unless --host says otherwise. Ctrl-C ends it once running answers are done.
    """
    check_kind(kind, "mistralrs serve")
    exclusive(
        {
            "--disable-local-files": server.disable_local_files or None,
            "--allowed-media-path": server.allowed_media_path,
        }
    )
    from .served import served_models

    for name in model_id or ():
        require_name(name)
    base = model_options(model, hardware)
    served = served_models(
        model_id or [], several, lambda name: options_for(ctx, name, model, hardware), server.served_model_name or []
    )
    exclusive({"--no-batches": server.no_batches or None, "--batch-folder": server.batch_folder})
    options = ServerOptions(
        host=server.host,
        port=server.port,
        api_keys=keys(server.api_key or [], server.api_key_file),
        keys_file=server.api_keys,
        insecure=server.insecure,
        media_paths=tuple(map(folder, server.allowed_media_path or ())),
        media_domains=tuple(map(domain, server.allowed_media_domain)) if server.allowed_media_domain else None,
        cors_origins=tuple(map(origin, server.cors_origin or ())),
        served_names=tuple(map(served_name, server.served_model_name or ())),
        body=limits.max_body * MEBIBYTE,
        images=limits.limit_images,
        audios=limits.limit_audios,
        videos=limits.limit_videos,
        queue=limits.max_queue,
        max_edge=reading.max_edge,
        seed=server.seed,
        log_requests=log_requests,
        log_format=log_format,
        strict=server.strict,
        grace=server.grace,
        root_path=prefix(server.root_path),
        uds=server.uds,
        certificate=server.ssl_certfile,
        private_key=server.ssl_keyfile,
        local_files=not server.disable_local_files,
        load_timeout=several.load_timeout,
        page=not server.no_ui,
        batch_folder=None if server.no_batches else server.batch_folder or str(state_folder() / "batches"),
        batches=limits.max_batches,
        batch_lines=limits.max_batch_lines,
        batch_disk=limits.batch_disk * GIBIBYTE,
    )
    named = bool(model_id) or several.models is not None
    how = wanted(replicas, base.threads)
    if how is None:
        return Serving(served=served, server=options, kind=kind, quiet=quiet, verbose=verbose, named=named)
    printed = replicas.print_ray_config or replicas.print_ray_service
    if printed or (how.address or "").startswith("ray://"):  # another machine keeps files: only where it was asked to
        options = replace(options, batch_folder=server.batch_folder)
    if not printed:
        return ReplicaServing(
            served=served, server=options, how=how, kind=kind, quiet=quiet, verbose=verbose, named=named
        )
    return PrintRayConfig(
        served=served,
        server=options,
        how=how,
        kind=kind,
        key_file=server.api_key_file,
        keys_typed=bool(server.api_key),
        service=replicas.print_ray_service,
    )


def keys(given: list[str], file: str | None) -> tuple[str, ...]:
    """All API keys. An error never repeats one."""
    found = list(given)
    if file is not None:
        lines = named_text("--api-key-file", file, "It holds one key on each line.").splitlines()
        found += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not found:
            raise OptionError(f"--api-key-file: {file} holds no key.", "It holds one key on each line.")
    if not all(key and all("!" <= letter <= "~" for letter in key) for key in found):
        raise OptionError("An API key is empty or holds characters that HTTP cannot carry.", "Use letters and digits.")
    return tuple(found)


def folder(path: str) -> str:
    """A folder that media may be read from."""
    if not Path(path).expanduser().is_dir():
        raise OptionError(f"--allowed-media-path: there is no folder {path}.", "Name a folder.")
    return path


def domain(name: str) -> str:
    """A host that media may be fetched from."""
    if not name.strip() or "/" in name or " " in name:
        raise OptionError(
            f"--allowed-media-domain: {name or 'nothing'} is not the name of a host.", "As in example.com"
        )
    return name


def origin(url: str) -> str:
    """The origin of pages that may ask: scheme, host and port, or ``*`` for every one."""
    parts = urlsplit(url)
    if url != "*" and not (parts.scheme in ("http", "https") and parts.netloc and parts.path in ("", "/")):
        raise OptionError(f"--cors-origin: {url or 'nothing'} is not an origin.", "As in https://example.com")
    return url.rstrip("/")


def prefix(path: str) -> str:
    """The prefix of paths that a proxy adds: empty, or with a slash before it and none behind."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or "?" in path or "#" in path or not all("!" <= letter <= "~" for letter in path):
        raise OptionError(f"--root-path: {path} is not the path of an address.", "As in --root-path /llm")
    return f"/{path.strip('/')}" if path.strip("/") else ""


def served_name(name: str) -> str:
    """What clients call the model."""
    if not name.strip():
        raise OptionError("--served-model-name is empty.", "Give the name that clients send as model.")
    return name


@dataclass(frozen=True)
class Serving:
    """A parsed ``serve``."""

    served: "ServedModels"
    server: ServerOptions
    kind: str | None = None
    quiet: bool = False
    verbose: bool = False
    named: bool = True
    show_page: bool = False
    """Whether this is ``run --ui``: it opens the page, and says no more than where that is."""

    @property
    def model(self) -> ModelOptions:
        """How the first model is loaded."""
        return self.served.specs[0].options

    def run(self, console: Console, models: Models) -> None:
        """Serve until the process is stopped. Bad options are reported before any weights are read."""
        from ..server.app import create_app
        from ..server.http.auth import check as check_access
        from ..server.private import create_private_app
        from ..server.process import Server, check_certificate, listen, listen_anywhere
        from ..server.service import Service
        from .served import shown_on

        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        check_access(self.server)
        check_certificate(self.server)

        def log_line(facts: dict[str, object]) -> None:
            if not self.show_page:
                log(facts, self.server.log_format, console)

        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for spec in self.served.specs:
                for notice in models.check(spec.options):
                    text = f"{spec.name}: {notice}" if self.served.several else notice
                    say("note", text, self.server.log_format, console)
            if not self.named:
                note = "serving the bundled demo model; choose another with -m MODEL"
                say("note", note, self.server.log_format, console)
            checkpoints = self.served.open(models, self.kind)
            listener = listen_anywhere(self.server) if self.show_page else listen(self.server)
            with closing(listener):
                options = with_page_key(listening(self.server, listener))
                check_access(options)
                events = ModelEvents(self.served, log_line)
                registry = self.served.registry(
                    checkpoints,
                    models,
                    kind=self.kind,
                    on_failure=events.down,
                    on_event=events.happened,
                    starting=shown_on(console),
                )
                first = self.served.specs[0]
                service = Service(options, checkpoints[first.name].name, first.options.max_seqs, registry)
                events.service = service
                app = create_app(service, log_line)
                hand_over()
                records: list[EngineRecord] = []
                sockets: list[socket] = []
                private = []
                for model in service.models:
                    checkpoint, loading = checkpoints[model.entry.name], model.entry.spec.options
                    record, own = self.attachable(checkpoint, loading, options, console)
                    if record is not None and own is not None:
                        records.append(record)
                        sockets.append(own)
                        images = loading.max_num_images
                        private.append(create_private_app(app, service, checkpoint, log_line, images, model=model))
                if self.show_page:
                    open_page(options, console)
                try:
                    server = Server(service, app, private, log_line)
                    if server.serve_on(listener, lambda service: self.load(service, console), sockets):
                        raise KeyboardInterrupt
                finally:
                    for each in records:
                        each.remove()
                    if console.interactive and any(entry.loading for entry in registry.entries):
                        end_progress()

    def attachable(
        self, checkpoint: "Checkpoint", loading: ModelOptions, options: ServerOptions, console: Console
    ) -> "tuple[EngineRecord | None, socket | None]":
        """A socket beside the server's own, by which commands of this user find a model's engine.

        There is a note where there is none. Called when the server listens already.
        """
        from ..attach.record import record_of
        from ..server.process import listen_on_path

        try:
            record = replace(
                record_of(loading, checkpoint.family.modalities, checkpoint.folder), address=place(options)
            )
            own = listen_on_path(str(record.socket))
            record.write()
        except (OptionError, OSError) as error:
            say("note", f"commands cannot attach to this server: {first_line(error)}", options.log_format, console)
            return None, None
        return record, own

    def load(self, service: "Service", console: Console) -> None:
        """Load the model, or those of several that are wanted at once; show the address and an example request."""
        from ..server.systemd import notify

        if self.served.several:
            lines = [*overview(self.served), *addresses(service.options)]
            service.registry.load_at_start()
        else:
            with service.registry.use(service.default.entry) as lease:
                lines = [*lease.engine.info.notes, *banner(lease.engine.info, service.options)]
        for line in lines[: -len(addresses(service.options))] if self.show_page else lines:
            say("ready", line, self.server.log_format, console)
        notify("READY=1", "STATUS=ready")


class ModelEvents:
    """Logs what becomes of models, and counts it."""

    def __init__(self, served: "ServedModels", log_line: Callable[[dict[str, object]], None]) -> None:
        self.served = served
        self.log = log_line
        self.service: Service | None = None

    def down(self, entry: "ModelEntry[Any]", error: BaseException) -> None:
        """What ended all requests of a model at once."""
        facts: dict[str, object] = {"event": "failure", "error": f"{type(error).__name__}: {first_line(error)}"}
        self.log({"event": "failure", "model": entry.name} | facts)

    def happened(self, entry: "ModelEntry[Any]", event: "Event") -> None:
        """A model is loading, loaded or unloaded, or could not be loaded."""
        if self.service is not None and event in ("loaded", "failed"):
            self.service.model(entry.name if self.served.several else None).metrics.loaded(event)
        if event == "failed" and not self.served.several and not entry.loads:
            return  # the process ends with the error
        if self.served.several or entry.loads > 1 or event in ("unloaded", "failed"):
            facts: dict[str, object] = {"event": f"model_{event}", "model": entry.name, "status": event}
            if event == "loaded" and entry.seconds is not None:
                facts["seconds"] = round(entry.seconds, 3)
            if event == "failed" and entry.error is not None:
                facts["error"] = f"{type(entry.error).__name__}: {first_line(entry.error)}"
            self.log(facts)


def listening(options: ServerOptions, listener: "socket") -> ServerOptions:
    """The options with the address that the server has: ``-p 0`` takes any port, and systemd may have bound another."""
    from ..server.http.auth import is_loopback

    address = listener.getsockname()
    if not isinstance(address, tuple):
        return options
    same = options.uds is None and is_loopback(options.host) == is_loopback(address[0])
    return replace(options, host=options.host if same else address[0], port=address[1], uds=None)
