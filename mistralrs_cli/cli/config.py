"""``mistralrs config``: what options are where the command line does not say, and the file that says so."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperOption

from ..errors import MistralrsError, OptionError, reason
from ..terminal.console import Console, file_number
from ..terminal.report import show_object
from ..terminal.table import table
from .command import Command, Group
from .config_check import check_config, unknown_models
from .config_file import MODELS, PRESETS, config_path, read_config
from .config_values import ASKED, key_of
from .defaults import Defaults
from .job import Job, Task
from .params.group import Only, takes_groups
from .params.model import ModelParams
from .params.output import json_flag

config = typer.Typer(cls=Group, help="The configuration file: defaults of options, per model, and named presets.")

CommandName = Annotated[
    list[str] | None, typer.Argument(metavar="COMMAND", help="A command, such as run or serve.", hidden=True)
]
AllOptions = Annotated[bool, typer.Option("--all", metavar="", help="Also options that have their built-in value.")]
OptionsJson = Annotated[bool, json_flag("One JSON object: the file, and an entry for each row of the table.")]

TEMPLATE = """\
# Defaults for the options of mistralrs; the command line wins, then the environment (MISTRALRS_KEEP=10m), then this.
# Every long option, written with underscores. mistralrs config show tells where each value comes from.

# model_id = "google/gemma-4-E4B-it"
# keep = "10m"                         # leave the engine running, so that the next command answers at once

# [serve]                              # for one command
# port = 1234

# [models."google/gemma-4-E4B-it"]     # for one model
# quant = 4

# [presets.receipts]                   # mistralrs run --preset receipts --image receipt.jpg -i "Read this."
# system = "You read receipts."
# temperature = 0
# json_schema = "receipt.json"         # beside this file
"""


@config.command("show", cls=Command)
@takes_groups
def show(
    *,
    ctx: typer.Context,
    command: CommandName = None,
    model: Annotated[ModelParams, Only("model_id", "preset")],
    all_options: AllOptions = False,
    as_json: OptionsJson = False,
) -> Job:
    """Show the options of a command, run unless named, and where each value comes from.

    mistralrs config show serve
    mistralrs config show -m google/gemma-4-E4B-it --preset receipts
    """

    root: Any = ctx.find_root().command

    def work(console: Console) -> None:
        file = read_config()
        check_config(file, root)
        keys = tuple(command or ["run"])
        found: Any = root
        for word in keys:
            found = getattr(found, "commands", {}).get(word)
        if found is None or hasattr(found, "commands"):
            raise OptionError(f"There is no command {' '.join(keys)}.", "For example: mistralrs config show serve")
        context: Any = typer.Context(found)
        given = {"model_id": model.model_id, "preset": model.preset}
        defaults = Defaults(keys, found.params, file, given, os.environ, context, root).found()
        options = [each for each in found.params if isinstance(each, TyperOption) and key_of(each) not in ASKED]
        rows: list[tuple[str, Any, str]] = []
        if model.model_id is not None:
            rows.append(("model_id", model.model_id, "-m"))
        for option in options:
            key = key_of(option)
            if (value := defaults.get(option.name or "")) is not None:
                rows.append((key, "…" if value.hidden else value.value, str(value.source)))
            elif all_options and given.get(key) is None and option.default is not None:
                rows.append((key, option.default, "built in"))
        if as_json:
            entries = [{"option": key, "value": value, "from": source} for key, value, source in rows]
            names = {kind: file.names(kind) for kind in (PRESETS, MODELS)}
            show_object({"file": str(file.path), "command": " ".join(keys), "options": entries, **names}, console)
            return
        console.note(f"{file.path}{'' if file.text else ' is not there; mistralrs config edit makes it'}")
        for kind in (PRESETS, MODELS):
            if names_of_kind := file.names(kind):
                console.note(f"{kind}: {', '.join(names_of_kind)}")
        for sentence in unknown_models(file):
            console.note(sentence)
        if rows:
            console.answer(
                table(("option", "value", "from"), [(key, words(value), where) for key, value, where in rows])
            )
        else:
            console.note(f"nothing is set for mistralrs {' '.join(keys)}; --all shows what is built in")

    return Task(work)


@config.command("path", cls=Command)
def path() -> Job:
    """Print where the configuration file lies, or would: $MISTRALRS_CONFIG_DIR/config.toml, where that is set."""
    return Task(lambda console: console.answer(f"{config_path()}\n"))


@config.command("edit", cls=Command)
def edit(ctx: typer.Context) -> Job:
    """Open the configuration file in $VISUAL or $EDITOR, and check it afterwards. It is made where there is none."""

    root: Any = ctx.find_root().command

    def work(console: Console) -> None:
        place = config_path()
        editor = editor_words()
        if not place.exists():
            make(place)
        try:
            output = console.stdout and file_number(console.stdout)
            code = subprocess.call([*editor, str(place)], stdout=output)
        except OSError as error:
            raise OptionError(
                f"The editor {editor[0]} does not start: {reason(error)}.", "Set EDITOR, as in EDITOR=nano."
            ) from error
        if code != 0:
            raise MistralrsError(f"The editor ended with code {code}.", f"The file is {place}.")
        check_config(read_config(place), root)
        console.note(f"{place} is right")

    return Task(work)


def words(value: Any) -> str:
    """A value in a table, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:60]}…"


def editor_words() -> list[str]:
    """The user's editor, or one that is there. Raises ``OptionError`` where there is none."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    try:
        found = shlex.split(named or "")
    except ValueError as error:
        raise OptionError(f"The editor {named} cannot be read: {error}.", "Set EDITOR, as in EDITOR=nano.") from error
    usual = ["notepad"] if sys.platform == "win32" else ["nano", "vi"]
    found = found or [each for each in usual if shutil.which(each)][:1]
    if not found:
        raise OptionError("There is no editor.", "Set EDITOR, as in EDITOR=nano.")
    return found


def make(place: Path) -> None:
    """A file with examples, all commented out, which only its owner can read."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except OSError as error:
        raise OptionError(
            f"{place} cannot be made: {reason(error)}.", "MISTRALRS_CONFIG_DIR names another folder."
        ) from error
