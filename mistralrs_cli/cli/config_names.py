"""Which tables and entries ``config.toml`` may have, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typer.core import TyperOption

from ..errors import OptionError
from .config_file import EDIT, MODELS, PRESETS, ConfigFile, Keys
from .config_values import ASKED, by_key, plain

COMMANDS = (
    *("run", "transcribe", "batch", "serve", "inspect", "quantize", "bench", "doctor", "login", "cache", "ps", "stop"),
    *("completions", "sessions", "config"),
)
IN_PRESETS = "input"
"""The option that a preset alone may hold: elsewhere it would make a question of every chat."""


def require_preset(file: ConfigFile, preset: str) -> None:
    """Raise ``OptionError`` for a preset that the file has not got."""
    names = file.names(PRESETS)
    if preset in names:
        return
    close = closest(preset, names, 0.6)
    if close:
        hint = f"Did you mean {close[0]}?"
    elif names:
        hint = f"{file.path} has {', '.join(names)}."
    else:
        hint = f"Write [presets.{preset}] into {file.path}: mistralrs config edit"
    raise OptionError(f"There is no preset {preset}.", hint)


def check_names(file: ConfigFile, command: Keys, options: Mapping[str, TyperOption], root: Any) -> None:
    """Raise ``OptionError`` for a table or an entry that no command knows.

    Tables of other commands are left to those. ``options`` are those of ``command``, ``root`` has all commands.
    """
    for keys in general_tables(file):
        for name, value in file.table(keys).items():
            here = (*keys, name)
            if isinstance(value, Mapping):
                if name not in COMMANDS and not (keys == () and name in (MODELS, PRESETS)):
                    raise unknown_table(file, here, options)
            elif plain(name) not in options:
                check_name(file, here, root)
            elif plain(name) == IN_PRESETS and keys[:1] != (PRESETS,):
                raise in_presets_only(file, here)
    for name in file.names(MODELS):
        if "model_id" in map(plain, entries(file, (MODELS, name))):
            place = file.place((MODELS, name, "model_id"))
            raise OptionError(f"{place}: this table is for {name} already.", f"Take model_id out. {EDIT}")
    for keys in command_tables(file, command):
        for name in entries(file, keys):
            if plain(name) not in options:
                raise not_taken(file, (*keys, name), command, options, root)
            if plain(name) == IN_PRESETS and keys[:1] != (PRESETS,):
                raise in_presets_only(file, (*keys, name))


def in_presets_only(file: ConfigFile, keys: Keys) -> OptionError:
    """The error for a question that would be asked by every command."""
    return OptionError(f"{file.place(keys)}: a question stands in a preset only.", "Move it below [presets.NAME].")


def general_tables(file: ConfigFile) -> list[Keys]:
    """The file itself, and the table of each model and preset. Raises ``OptionError`` for what is no table."""
    found: list[Keys] = [()]
    for kind in (MODELS, PRESETS):
        if kind in file.tables and not isinstance(file.tables[kind], Mapping):
            raise OptionError(
                f"{file.place((kind,))}: {kind} must be a table.", f"As in [{kind}.NAME], and entries below. {EDIT}"
            )
        for name, table in file.table((kind,)).items():
            if not isinstance(table, Mapping):
                example = f'[{kind}."{name}"]'
                raise OptionError(f"{file.place((kind, name))}: {name} must be a table.", f"As in {example}. {EDIT}")
            found.append((kind, name))
    return found


def command_tables(file: ConfigFile, command: Keys) -> Iterator[Keys]:
    """Every table for a command: of all models, of one model, of a preset."""
    for keys in general_tables(file):
        if command and file.table((*keys, *command)):
            yield (*keys, *command)


def entries(file: ConfigFile, keys: Keys) -> list[str]:
    """The names of what stands in a table, but for tables of commands below a group's."""
    group = keys[-1:] in (("cache",), ("sessions",), ("config",))
    return [name for name, value in file.table(keys).items() if not (group and isinstance(value, Mapping))]


def check_name(file: ConfigFile, keys: Keys, root: Any) -> None:
    """Raise ``OptionError`` for an entry whose name is no option of any command."""
    known = every_option(root)
    name = plain(keys[-1])
    if name in ASKED:
        raise OptionError(f"{file.place(keys)}: {keys[-1]} is given on the command line only.", f"Take it out. {EDIT}")
    if name not in known:
        raise OptionError(f"{file.place(keys)}: there is no option {keys[-1]}.", suggestion(name, known))
    if name == IN_PRESETS and keys[:1] != (PRESETS,):
        raise in_presets_only(file, keys)


def unknown_table(file: ConfigFile, keys: Keys, options: Mapping[str, TyperOption]) -> OptionError:
    """The error for a table that is neither a command's nor of models or presets."""
    name = keys[-1]
    if plain(name) in options:
        return OptionError(f"{file.place(keys)}: {name} is an option, and takes no table.", f"As in {name} = … {EDIT}")
    close = closest(name, [*COMMANDS, MODELS, PRESETS], 0.6)
    hint = (
        f"Did you mean {close[0]}?" if close else "Tables are named after commands, or [models.NAME], [presets.NAME]."
    )
    return OptionError(f"{file.place(keys)}: there is no table {'.'.join(keys)}.", f"{hint} {EDIT}")


def not_taken(
    file: ConfigFile, keys: Keys, command: Keys, options: Mapping[str, TyperOption], root: Any
) -> OptionError:
    """The error for an entry in a command's table, or a preset, that the command does not take."""
    name, path = keys[-1], " ".join(("mistralrs", *command))
    place = file.place(keys)
    if plain(name) in ASKED:
        return OptionError(f"{place}: {name} is given on the command line only.", f"Take it out. {EDIT}")
    if keys[:1] == (PRESETS,) and len(keys) == 3 and plain(name) in every_option(root):
        table = f"[presets.{keys[1]}.{taker(plain(name), root)}]"
        return OptionError(f"{place}: {path} does not take {name} of this preset.", f"Put it below {table}. {EDIT}")
    hint = suggestion(plain(name), options)
    if "Did you mean" not in hint and (other := taker(plain(name), root)):
        hint = f"It belongs to another command: [{other}]. {EDIT}"
    return OptionError(f"{place}: {path} has no option {name}.", hint)


def suggestion(name: str, options: Mapping[str, TyperOption]) -> str:
    """What to write in place of a name that is no option."""
    from .synonyms import OPTIONS

    if name == "model":
        return f"Did you mean model_id? {EDIT}"
    meant = OPTIONS.get(name.replace("_", "-"), "").split()[:1]
    found = [plain(word.lstrip("-").partition("=")[0]) for word in meant if word.startswith("--")]
    close = [each for each in found if each in options] or closest(name, list(options), 0.7)
    return f"Did you mean {close[0]}? {EDIT}" if close else f"docs/configuration.md lists what it may hold. {EDIT}"


def closest(name: str, names: Sequence[str], cutoff: float) -> list[str]:
    """The name that is most like another one, if one is."""
    from difflib import get_close_matches

    return get_close_matches(name, names, n=1, cutoff=cutoff)


def taker(name: str, root: Any) -> str | None:
    """The first command that has an option."""
    return next((".".join(keys) for keys, options in every_command(root) if name in options), None)


def every_option(root: Any) -> dict[str, TyperOption]:
    """The options of all commands below ``root``."""
    return {key: option for _, options in every_command(root) for key, option in options.items()}


def every_command(root: Any, keys: Keys = ()) -> Iterator[tuple[Keys, dict[str, TyperOption]]]:
    """All commands with their options."""
    yield keys, by_key(root.params)
    for name, each in getattr(root, "commands", {}).items():
        yield from every_command(each, (*keys, name))
