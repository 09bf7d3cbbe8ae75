"""Whether all of ``config.toml`` is right, whatever command it is for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ..errors import OptionError
from ..options import DEMO_MODEL
from .config_file import MODELS, PRESETS, ConfigFile, Keys, entries_of
from .config_names import not_taken
from .config_values import by_key, plain
from .defaults import Defaults

QUESTIONS: dict[Keys, tuple[str, ...]] = {
    ("run",): ("-i", "x"),
    ("batch",): ("x", "-i", "x"),
    ("transcribe",): ("x.wav",),
    ("serve",): (),
}
"""Commands whose options are checked together, and the words that they cannot do without."""


def check_config(file: ConfigFile, root: Any) -> None:
    """Raise ``OptionError`` for the first thing that a command below ``root`` would refuse.

    ``file`` is the user's own.

    Names and types of all entries are checked, and for the commands of ``QUESTIONS`` what they make of each model's
    table and of each preset, with the files that they name.
    """
    if not file.text:
        return
    commands = dict(leaves((), root))
    for keys, command in commands.items():
        for model in (None, *file.names(MODELS)):
            given = {"model_id": model}
            Defaults(keys, command.params, file, given, os.environ, typer.Context(command), root).found()
    for keys, words in QUESTIONS.items():
        for name in (None, *file.names(MODELS)):
            build(root, [*keys, *words, *(() if name is None else ("-m", name))])
    for preset in file.names(PRESETS):
        for keys in takers(file, preset, commands, root):
            build(root, [*keys, *QUESTIONS[keys], "--preset", preset])


def unknown_models(file: ConfigFile) -> list[str]:
    """A sentence on each table of a model that is not on this disk: it may be mistyped, or not downloaded yet."""
    from difflib import get_close_matches

    from ..loading.hub_cache import cached_models

    names = file.names(MODELS)
    if not names:
        return []
    cache = file.tables.get("hf_cache")
    known = [DEMO_MODEL, *{model.name: None for model in cached_models(cache if isinstance(cache, str) else None)}]
    found = []
    for name in names:
        if name in known or Path(name).expanduser().is_dir():
            continue
        close = get_close_matches(name, known, n=1, cutoff=0.8)
        meant = f"; did you mean {close[0]}?" if close else ""
        found.append(f"line {file.line((MODELS, name))}: {name} is no model on this disk{meant}")
    return found


def takers(file: ConfigFile, preset: str, commands: dict[Keys, Any], root: Any) -> list[Keys]:
    """The commands that take all of a preset. Raises ``OptionError`` where none does."""
    here = (PRESETS, preset)
    found: list[Keys] = []
    refused: OptionError | None = None
    for keys in QUESTIONS:
        options = by_key(commands[keys].params)
        others = [name for name in entries_of(file.table(here)) if plain(name) not in options]
        if not others:
            found.append(keys)
        refused = refused or (not_taken(file, (*here, others[0]), keys, options, root) if others else None)
    if not found and refused is not None:
        raise refused
    return found


def build(root: Any, words: list[str]) -> None:
    """Have a command check its options; what it then would do is not done."""
    root.main(args=words, prog_name="mistralrs", standalone_mode=False)


def leaves(keys: Keys, command: Any) -> Iterator[tuple[Keys, Any]]:
    """All commands that are no groups."""
    below = getattr(command, "commands", None)
    if below is None:
        yield keys, command
    else:
        for name, each in below.items():
            yield from leaves((*keys, name), each)
