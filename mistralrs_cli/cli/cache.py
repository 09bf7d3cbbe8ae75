"""``mistralrs cache``: the models that were downloaded."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OptionError
from ..sizes import readable
from ..terminal.console import Console
from ..terminal.report import show_object
from ..terminal.table import day, table
from .command import Command, Group
from .job import Job, Task
from .params.group import Only, takes_groups
from .params.model import ModelParams
from .params.output import ListJson

if TYPE_CHECKING:
    from ..loading.hub_cache import CachedModel

cache = typer.Typer(cls=Group, help="Models on this disk: list them, delete them.")

Names = Annotated[list[str], typer.Argument(metavar="MODEL...", help="Models as `cache list` names them.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", metavar="", help="Delete without asking.")]


@cache.command("list", cls=Command)
@takes_groups
def list_(*, model: Annotated[ModelParams, Only("hf_cache")], as_json: ListJson = False) -> Job:
    """List the models on this disk, the largest first."""

    def work(console: Console) -> None:
        from ..loading.hub_cache import cache_folder, cached_models

        models = cached_models(model.hf_cache)
        if as_json:
            entries = [
                {
                    "model": m.name,
                    "bytes": m.size,
                    "last_used": m.last_used,
                    "revisions": list(m.revisions),
                    "quantized": m.quantized or None,
                }
                for m in models
            ]
            show_object({"folder": str(cache_folder(model.hf_cache)), "models": entries}, console)
            return
        total = sum(each.size for each in models)
        count = f"{len(models)} model{'s' if len(models) != 1 else ''}"
        console.note(f"{count}, {readable(total)}, in {cache_folder(model.hf_cache)} and among quantized copies")
        if models:
            rows = [(m.name, readable(m.size), day(m.last_used), kind(m)) for m in models]
            console.answer(table(("model", "size", "last used", "kind"), rows, right=(1,)))

    return Task(work)


@cache.command("delete", cls=Command)
@takes_groups
def delete(*, names: Names, model: Annotated[ModelParams, Only("hf_cache")], yes: Yes = False) -> Job:
    """Delete models and their quantized copies; one that is used again is downloaded, or quantized, again."""

    def work(console: Console) -> None:
        from ..loading.hub_cache import cached_models, delete_cached, require_cached

        models = cached_models(model.hf_cache)
        require_cached(names, models)
        if not yes:
            size = sum(each.size for each in models if each.name in names)
            if not agreed(f"Delete {', '.join(names)} ({readable(size)})? [y/N]", console):
                console.note("nothing was deleted")
                return
        console.note(f"{readable(delete_cached(names, model.hf_cache))} freed")

    return Task(work)


def kind(model: "CachedModel") -> str:
    """``download (main)``, or ``copy for --quant 4``."""
    if model.quantized:
        return f"copy for {'' if model.quantized.startswith('--') else '--quant '}{model.quantized}"
    return f"download ({', '.join(model.revisions)})" if model.revisions else "download"


def agreed(question: str, console: Console) -> bool:
    """Whether the user says yes. Raises ``OptionError`` where there is no terminal to ask on."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise OptionError("Confirmation is required and there is no terminal.", "Add --yes.")
    return console.ask(question).strip().lower() in ("y", "yes")
