"""``mistralrs serve``: the model behind an HTTP interface."""

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from ..errors import OptionError, first_line
from ..named_files import named_text
from ..options import LogFormat, ModelOptions, ServerOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from .given import exclusive, model_options
from .interrupt import hand_over
from .job import Job
from .params.arguments import Kind
from .params.group import Only, takes_groups
from .params.hardware import HardwareParams
from .params.media import MediaParams
from .params.model import ModelParams
from .params.output import LogFormatName, LogRequests, QuietServer, VerboseLibraries
from .params.server import MEBIBYTE, LimitParams, ServerParams
from .run import check_kind

if TYPE_CHECKING:
    from socket import socket

    from ..attach.record import EngineRecord
    from ..engine.info import ModelInfo
    from ..loading import Checkpoint
    from ..server.service import Service


@takes_groups
def serve(
    *,
    kind: Kind = None,
    server: ServerParams,
    limits: LimitParams,
    log_requests: LogRequests = False,
    log_format: LogFormatName = ServerOptions.log_format,
    model: ModelParams,
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
    return Serving(
        model=model_options(model, hardware),
        server=ServerOptions(
            host=server.host,
            port=server.port,
            api_keys=keys(server.api_key or [], server.api_key_file),
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
        ),
        kind=kind,
        quiet=quiet,
        verbose=verbose,
        named=model.model_id is not None,
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

    model: ModelOptions
    server: ServerOptions
    kind: str | None = None
    quiet: bool = False
    verbose: bool = False
    named: bool = True

    def run(self, console: Console, models: Models) -> None:
        """Serve until the process is stopped. Bad options are reported before any weights are read."""
        from ..server.app import create_app
        from ..server.http.auth import check as check_access
        from ..server.private import create_private_app
        from ..server.process import Server, check_certificate, listen
        from ..server.service import Service

        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        check_access(self.server)
        check_certificate(self.server)
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for notice in models.check(self.model):
                say("note", notice, self.server.log_format, console)
            if not self.named:
                note = "serving the bundled demo model; choose another with -m MODEL"
                say("note", note, self.server.log_format, console)
            checkpoint = models.open(self.model, self.kind, speech=True)
            listener = listen(self.server)
            taken = self.server.port if self.server.uds is not None else listener.getsockname()[1]
            options = replace(self.server, port=taken)  # -p 0 takes any
            service = Service(options, checkpoint.name, self.model.max_seqs)
            app = create_app(service, lambda facts: log(facts, self.server.log_format, console))
            hand_over()

            def log_line(facts: dict[str, object]) -> None:
                log(facts, self.server.log_format, console)

            private = create_private_app(app, service, checkpoint, log_line, self.model.max_num_images)
            record, own = self.attachable(checkpoint, options, console)
            try:
                server = Server(service, app, private)
                if server.serve_on(listener, lambda service: self.load(checkpoint, service, console, models), own):
                    raise KeyboardInterrupt
            finally:
                if record is not None:
                    record.remove()

    def attachable(
        self, checkpoint: "Checkpoint", options: ServerOptions, console: Console
    ) -> "tuple[EngineRecord | None, socket | None]":
        """A socket beside the server's own, by which commands of this user find its engine; a note where there is none.

        Called when the server listens already.
        """
        from ..attach.record import record_of
        from ..server.process import listen_on_path

        try:
            record = replace(
                record_of(self.model, checkpoint.family.modalities, checkpoint.folder), address=place(options)
            )
            own = listen_on_path(str(record.socket))
            record.write()
        except (OptionError, OSError) as error:
            say("note", f"commands cannot attach to this server: {first_line(error)}", options.log_format, console)
            return None, None
        return record, own

    def load(self, checkpoint: "Checkpoint", service: "Service", console: Console, models: Models) -> None:
        """Load the model, then show its address and an example request."""

        def log_failure(error: BaseException) -> None:
            facts: dict[str, object] = {"event": "failure", "error": f"{type(error).__name__}: {first_line(error)}"}
            log(facts, self.server.log_format, console)

        with console.status(f"Loading {checkpoint.name}", animated=checkpoint.repository is None) as status:
            service.backend = engine = models.start(
                checkpoint,
                self.model,
                prefixes=self.model.prefix_cache_n,
                progress=status.quantizing,
                on_failure=log_failure,
            )
        for line in (*engine.info.notes, *banner(engine.info, service.options)):
            say("ready", line, self.server.log_format, console)


def banner(model: "ModelInfo", options: ServerOptions) -> list[str]:
    """What was loaded, where it can be reached, and a first call."""
    from ..server.http.auth import opens_local_files

    reads = ", ".join(["text", *model.modalities])
    context = f", context {model.context_length:,} tokens" if model.context_length else ""
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host
    scheme = "https" if options.certificate else "http"
    address = f"{f'[{host}]' if ':' in host else host}:{options.port}" if options.uds is None else "localhost"
    url = f"{scheme}://{address}{options.root_path if options.uds is None else ''}"
    socket = "" if options.uds is None else f"--unix-socket {shlex.quote(options.uds)} "
    key = ' -H "Authorization: Bearer $KEY"' if options.api_keys else ""
    example = """ -d '{"messages": "What can you do?"}'"""
    lines = [
        f"{model.name} ({model.family}) is ready: {reads}; {model.dtype} on {model.device}{context}",
        f"listening on {url}/v1  (interactive reference: {url}/docs)"
        if options.uds is None
        else f"listening on {options.uds}",
        f"try: curl {socket}{url}/v1/chat/completions -H 'Content-Type: application/json'{key}{example}",
    ]
    if options.insecure and not options.api_keys:
        lines.append("warning: anyone who can reach this address may use the model; --api-key KEY requires a key")
    if opens_local_files(options):
        lines.append("programs on this machine may name any file that you can read; --disable-local-files rejects that")
    return lines


def place(options: ServerOptions) -> str:
    """Where a server listens, in short."""
    return options.uds or f"{f'[{options.host}]' if ':' in options.host else options.host}:{options.port}"


def say(event: str, text: str, form: LogFormat, console: Console) -> None:
    """One line about the server itself: a JSON object where the log is JSON."""
    if console.quiet:
        return
    if form == "json":
        log({"event": event, "message": text}, form, console)
    elif event == "note":
        console.note(text)
    else:
        console.log(text)


def log(facts: dict[str, object], form: LogFormat, console: Console) -> None:
    """One line about a request."""
    from datetime import UTC, datetime

    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    if form == "json":
        console.log(json.dumps({"time": stamp} | facts, ensure_ascii=False))
    elif not console.quiet:
        console.log(" ".join([stamp, *(f"{name}={value}" for name, value in facts.items() if name != "event")]))
