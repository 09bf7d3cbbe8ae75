"""``mistralrs ps`` and ``mistralrs stop``: the engines that run, of this user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import EngineDown, OptionError
from ..options import short_name
from ..sizes import readable
from ..terminal.console import Console
from ..terminal.report import show_object
from ..terminal.table import table
from .job import Job, Task
from .params.output import EnginesJson

if TYPE_CHECKING:
    from ..attach.record import EngineRecord

HEAD = ("name", "model", "options", "state", "requests", "idle", "ends in", "memory", "process", "address")

Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="An engine's name, model or process. Unset: the only one.")
]
All = Annotated[bool, typer.Option("--all", metavar="", help="Every engine of yours.")]


def ps(as_json: EnginesJson = False) -> Job:
    """List the engines that run: what they have loaded, how long they stay and what they take.

    mistralrs run attaches to one that has loaded what it asks for; mistralrs stop ends one.
    """

    def work(console: Console) -> None:
        from ..attach import engines
        from ..attach.log import log_path
        from ..folders import runtime_folder

        found = engines()
        if as_json:
            entries = [entry(record, said) | {"log": str(log_path(record.id))} for record, said in found]
            show_object({"folder": str(runtime_folder()), "engines": entries}, console)
            return
        if not found:
            console.note("no engine runs; mistralrs run --keep 10m leaves one running, and mistralrs serve is one")
            return
        console.answer(table(HEAD, [row(record, said) for record, said in found], right=(4, 5, 6, 7, 8)))

    return Task(work)


def stop(name: Name = None, all_of_them: All = False) -> Job:
    """End an engine that runs, or all of them. What it is answering ends first.

    mistralrs stop demo

    Of a server with several models the named one is unloaded; its process's number ends the server.
    """

    def work(console: Console) -> None:
        from ..attach import stop as end
        from ..attach.find import alive, unload
        from ..attach.record import records

        if name is not None and all_of_them:
            raise OptionError("NAME and --all exclude each other.", "Give one of them.")
        running = [record for record in records() if alive(record)]
        everything = all_of_them or (name is None and not running)
        chosen = running if everything else [one(name, running)]
        if not everything and (server := server_of(chosen[0], name, running)) is not None:
            unload(chosen[0])
            console.note(f"unloaded {chosen[0].model}; {server} goes on, mistralrs stop {chosen[0].process} ends it")
            return
        failed: list[EngineDown] = []
        for record in chosen:
            try:
                with console.status(f"Ending the engine of {record.model}"):
                    end(record)
            except EngineDown as error:  # the others end all the same
                failed.append(error)
            else:
                console.note(f"ended the engine of {record.model} (process {record.process})")
        for each in failed[:-1]:
            console.error(each.message, each.hint)
        if failed:
            raise failed[-1]
        if not chosen:
            console.note("no engine runs")

    return Task(work)


def server_of(record: EngineRecord, name: str | None, running: list[EngineRecord]) -> str | None:
    """The server that a model is one of several of, unless it is the server that was named."""
    several = [each for each in running if each.process == record.process]
    named = name in (None, str(record.process))
    return None if named or len(several) == 1 else f"the server at {record.address}"


def one(name: str | None, running: list[EngineRecord]) -> EngineRecord:
    """The engine that is meant. Raises ``OptionError`` where there is none of that name, or more than one."""
    if not running:
        raise OptionError("No engine runs.", "mistralrs run --keep 10m leaves one running.")
    found = running if name is None else [record for record in running if name in names(record)]
    if len({record.process for record in found}) == 1 and (len(found) == 1 or name in (None, str(found[0].process))):
        return found[0]
    ids = ", ".join(f"{record.id} ({short_name(record.model)})" for record in found or running)
    what = f"There is no engine {name}" if not found else f"{len(found)} engines run" + (f" for {name}" if name else "")
    raise OptionError(f"{what}: {ids}.", "Name one, or --all; mistralrs ps lists them.")


def names(record: EngineRecord) -> tuple[str, ...]:
    """What an engine may be called."""
    return record.id, record.model, short_name(record.model), str(record.process), record.id.partition("-")[0]


def entry(record: EngineRecord, said: dict[str, Any] | None) -> dict[str, Any]:
    """An engine for programs."""
    return {
        "name": record.id,
        "model": record.model,
        "options": dict(record.options),
        "process": record.process,
        "address": record.address,
        "started": record.started,
        **(said or {"state": "stuck"}),
    }


def row(record: EngineRecord, said: dict[str, Any] | None) -> tuple[str, ...]:
    """An engine for people."""
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in record.options.items())
    first, last = (record.id, short_name(record.model), options), (str(record.process), record.address or "")
    if said is None:
        return (*first, "stuck", "", "", "", "", *last)
    left = None if said["keep"] is None else max(0.0, said["keep"] - said["idle"])
    return (
        *first,
        f"{said['running']} running" if said["running"] else said["state"],
        f"{said['requests']:,}",
        spoken(said["idle"]),
        "" if left is None else spoken(left),
        " + ".join(readable(size) for size in said["memory"].values()),
        *last,
    )


def spoken(seconds: float) -> str:
    """``9 min 12 s``."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
