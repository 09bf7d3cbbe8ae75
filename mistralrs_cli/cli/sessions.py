"""``mistralrs sessions``: the chats that are kept."""

from pathlib import Path
from typing import Annotated

import typer

from ..conversation.disk import reason, replace_file
from ..conversation.store import Store
from ..errors import MistralrsError, OptionError
from ..options import short_name
from ..terminal.console import Console
from ..terminal.report import show_object
from ..terminal.table import table
from .cache import Yes, agreed
from .command import Command, Group
from .job import Job, Task
from .params.output import ListJson

sessions = typer.Typer(cls=Group, help="Saved chats: list, show, export or delete them.")

Id = Annotated[str, typer.Argument(metavar="ID", help="A chat's id, or the beginning of it.")]
File = Annotated[
    str | None, typer.Argument(metavar="FILE", help="Where to write: .md, .txt, .html or .json. Unset: to stdout.")
]


@sessions.command("list", cls=Command)
def list_(as_json: ListJson = False) -> Job:
    """List all chats, the latest first. mistralrs run --resume ID continues one."""

    def work(console: Console) -> None:
        store = Store()
        found = store.summaries()
        if as_json:
            entries = [
                {"id": s.id, "changed": s.changed.isoformat(timespec="seconds"), "turns": s.turns, "media": s.media}
                | {"model": s.model, "title": s.title}
                for s in found
            ]
            show_object({"folder": str(store.sessions), "sessions": entries}, console)
            return
        console.note(f"{len(found)} chat{'s' if len(found) != 1 else ''} in {store.sessions}")
        rows = [
            (s.id, f"{s.changed:%Y-%m-%d %H:%M}", str(s.turns), str(s.media), short_name(s.model), s.title)
            for s in found
        ]
        if rows:
            console.answer(table(("id", "changed", "turns", "media", "model", "first question"), rows, right=(2, 3)))

    return Task(work)


@sessions.command("show", cls=Command)
def show(id: Id) -> Job:
    """Print a chat as text."""

    def work(console: Console) -> None:
        from ..conversation.export import as_text

        console.answer(as_text(Store().load(id)))

    return Task(work)


@sessions.command("export", cls=Command)
def export(id: Id, file: File = None) -> Job:
    """Write a chat to a file to read or keep elsewhere. As .html or .json it holds its media."""

    def work(console: Console) -> None:
        from ..conversation.export import Gathering, as_form

        store = Store()
        data = Gathering(store.read)
        text = as_form(store.load(id), Path(file).suffix if file else ".md", data)
        if file is None:
            console.answer(text)
            return
        path = Path(file).expanduser()
        if path.exists():
            raise OptionError(f"{path} already exists.", "Name another file.")
        try:
            replace_file(path, text.encode("utf-8", "replace"))
        except OSError as error:
            raise MistralrsError(f"{path} cannot be written: {reason(error)}.", "Name another place.") from error
        for gone in data.gone:
            console.note(gone)

    return Task(work)


@sessions.command("delete", cls=Command)
def delete(id: Id, yes: Yes = False) -> Job:
    """Delete a chat, and media that no other chat uses."""

    def work(console: Console) -> None:
        store = Store()
        found = store.load(id)
        if not yes and not agreed(f"Delete {found.id}, “{found.title}”? [y/N]", console):
            console.note("nothing was deleted")
            return
        store.delete(found)
        console.note(f"{found.id} is deleted")

    return Task(work)
