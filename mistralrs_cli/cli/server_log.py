"""What a server tells of itself on stderr: its banner, notes, and a line about each request."""

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from ..options import LogFormat, ServerOptions
from ..terminal.console import Console
from .page import new_key, page_address

if TYPE_CHECKING:
    from ..engine.info import ModelInfo
    from ..registry.served import ServedModels


def banner(model: "ModelInfo", options: ServerOptions) -> list[str]:
    """What was loaded, where it can be reached, and a first call."""
    reads = ", ".join(["text", *model.modalities])
    context = f", context {model.context_length:,} tokens" if model.context_length else ""
    ready = f"{model.name} ({model.family}) is ready: {reads}; {model.dtype} on {model.device}{context}"
    return [ready, *addresses(options)]


def overview(served: "ServedModels") -> list[str]:
    """The models of a server, in a line each."""
    lines = []
    for spec in served.specs:
        when = "loading now" if spec.load else "loaded when it is asked for"
        notes = [when, *(["stays in memory"] if spec.pinned else [])]
        if spec.keep is not None and not spec.pinned:
            notes.append(f"unloaded after {spec.keep:g} idle seconds")
        if spec.aliases:
            notes.append(f"also called {', '.join(spec.aliases)}")
        lines.append(f"{spec.name}: {'; '.join(notes)}")
    return lines


def addresses(options: ServerOptions) -> list[str]:
    """Where a server can be reached, a first call, and who else may call."""
    from ..server.http.auth import opens_local_files

    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host
    scheme = "https" if options.certificate else "http"
    address = f"{f'[{host}]' if ':' in host else host}:{options.port}" if options.uds is None else "localhost"
    url = f"{scheme}://{address}{options.root_path if options.uds is None else ''}"
    socket = "" if options.uds is None else f"--unix-socket {shlex.quote(options.uds)} "
    key = ' -H "Authorization: Bearer $KEY"' if options.needs_key else ""
    example = """ -d '{"messages": "What can you do?"}'"""
    lines = [
        f"listening on {url}/v1  (interactive reference: {url}/docs)"
        if options.uds is None
        else f"listening on {options.uds}",
        *([f"the page, with your chats: {page_address(options)}"] if options.page_key else []),
        f"try: curl {socket}{url}/v1/chat/completions -H 'Content-Type: application/json'{key}{example}",
    ]
    if options.insecure and not options.needs_key:
        lines.append("warning: anyone who can reach this address may use the model; --api-key KEY requires a key")
    if opens_local_files(options):
        lines.append("programs on this machine may name any file that you can read; --disable-local-files rejects that")
    return lines


def with_page_key(options: ServerOptions) -> ServerOptions:
    """The options with a fresh key for the chats of this user, where the page may have them and needs one."""
    from ..server.http.auth import is_loopback

    if not options.page or options.page_key or options.uds is not None or not is_loopback(options.host):
        return options
    return replace(options, page_key=new_key())


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
