"""``config.toml``: the defaults of options, read as tables, with the line of each entry.

::

    keep = "10m"                              # for every command that has the option

    [serve]                                   # for one command
    port = 8080

    [models."google/gemma-4-E4B-it"]          # for one model; [models.NAME.run] for one of its commands
    quant = 4

    [presets.receipts]                        # for --preset receipts
    system = "You read receipts."
    json_schema = "receipt.json"              # beside this file
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import OptionError, reason
from ..folders import config_folder

MODELS, PRESETS = "models", "presets"
EDIT = "mistralrs config edit opens the file."
Keys = tuple[str, ...]
"""Where an entry stands in the file: ``("presets", "receipts", "system")``."""


@dataclass(frozen=True)
class Layer:
    """A table whose entries are defaults for a command, without the tables below it."""

    keys: Keys
    entries: Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where an entry stands, to be shown: ``config.toml, line 3``. The line is looked for when it is."""

    file: ConfigFile
    keys: Keys

    def __str__(self) -> str:
        line = self.file.line(self.keys)
        return self.file.path.name if line is None else f"{self.file.path.name}, line {line}"


@dataclass(frozen=True)
class ConfigFile:
    """A file as it was read. One that is not there is empty."""

    path: Path
    tables: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def layers(self, command: Sequence[str], model: str | None, preset: str | None) -> list[Layer]:
        """The tables that hold for a command, the strongest first: of the preset, of the model, then of all models."""
        found = []
        if preset is not None:
            found += self._layers((PRESETS, preset), command)
        if model is not None:
            for name in self.names(MODELS):
                if same_model(name, model):
                    found += self._layers((MODELS, name), command)
        return found + self._layers((), command)

    def _layers(self, keys: Keys, command: Sequence[str]) -> list[Layer]:
        """The table at ``keys``, after that of the command below it."""
        places = [(*keys, *command), keys] if command else [keys]
        return [Layer(place, entries_of(self.table(place))) for place in places]

    def table(self, keys: Sequence[str]) -> Mapping[str, Any]:
        """The table there; an empty one where there is none."""
        found: Any = self.tables
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def names(self, kind: str) -> list[str]:
        """The models or presets that have a table."""
        return list(self.table((kind,)))

    def line(self, keys: Keys) -> int | None:
        """The line of an entry or a table, else of what holds it."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self._lines:
                return self._lines[keys[:length]]
        return None

    def place(self, keys: Keys) -> Place:
        """Where an entry stands."""
        return Place(self, keys)

    @cached_property
    def _lines(self) -> dict[Keys, int]:
        found: dict[Keys, int] = {}
        for line, keys in lines_of(self.text):
            for length in range(1, len(keys) + 1):
                found.setdefault(keys[:length], line)
        return found

    @property
    def holds_secret(self) -> bool:
        """Whether a key or a token stands in it."""
        return any(is_secret(name, value) for name, value in every_entry(self.tables))

    @property
    def readable_by_others(self) -> bool:
        """Whether other users of this machine may read it."""
        if sys.platform == "win32":
            return False
        try:
            return bool(self.path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:
            return False


def config_path() -> Path:
    """Where the file lies, or would."""
    return config_folder() / "config.toml"


def read_config(path: Path | None = None) -> ConfigFile:
    """The user's file. Raises ``OptionError`` where it cannot be read or is not TOML."""
    path = path or config_path()
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return ConfigFile(path)
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {reason(error)}.", "Check its permissions.") from error
    import tomllib

    try:
        text = data.decode("utf-8-sig")
        return ConfigFile(path, tomllib.loads(text), text)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise OptionError(f"{path}, line {line}: this is not UTF-8 text.", EDIT) from error
    except tomllib.TOMLDecodeError as error:
        raise OptionError(
            f"{path} is not TOML: {error}.", f'Texts stand in quotation marks: keep = "10m". {EDIT}'
        ) from error


def entries_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a table that are no tables."""
    return {key: value for key, value in table.items() if not isinstance(value, Mapping)}


def every_entry(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The entries of a table and of all tables below it."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from every_entry(value)
        else:
            yield name, value


def is_secret(name: str, value: Any) -> bool:
    """Whether an entry must not be shown: a key, or a token itself rather than its place."""
    return name in ("api_key", "api-key") or (name.startswith("token") and str(value).startswith("literal:"))


def same_model(name: str, model: str) -> bool:
    """Whether two names mean one model: they are equal, or paths of the same folder."""
    if name == model:
        return True
    paths = [os.path.realpath(Path(each).expanduser()) for each in (name, model) if each.startswith(("~", "/", "."))]
    return len(paths) == 2 and paths[0] == paths[1]


def lines_of(text: str) -> Iterator[tuple[int, Keys]]:
    """The tables and entries of TOML that is right, each with its line."""
    import tomllib

    lines = text.splitlines()
    table: Keys = ()
    at = 0
    while at < len(lines):
        line, begun = lines[at].strip(), at
        at += 1
        if not line or line.startswith("#"):
            continue
        while True:  # texts and lists may have several lines
            statement = "\n".join(lines[begun:at])
            try:
                parsed = tomllib.loads(statement)
                break
            except tomllib.TOMLDecodeError:
                if at == len(lines):
                    return
                at += 1
        keys = first_keys(parsed)
        if line.startswith("["):
            table = keys
        yield begun + 1, keys if line.startswith("[") else (*table, *keys)


def first_keys(parsed: Any) -> Keys:
    """The one path through tables that hold one entry each."""
    found: list[str] = []
    while isinstance(parsed, Mapping) and len(parsed) == 1:
        ((key, parsed),) = parsed.items()
        found.append(key)
    return tuple(found)
