"""Prompts with places for what differs from row to row: ``Describe {stem}.``, ``Is this {row.colour}?``"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from ..errors import OptionError

PLACE = re.compile(r"\{\{([A-Za-z_][\w.]*)\}\}|\{(row\.[^{}]+|[A-Za-z_]\w*)\}")
NAMES = ("path", "stem", "name", "row.COLUMN")
OF_A_FILE = re.compile(r"(path|stem|name)([1-9]\d*)?")


def check_template(template: str) -> None:
    """Raise ``OptionError`` for a place that nothing can fill. Braces around anything but one word are text."""
    for found in PLACE.finditer(template):
        name = found[2]
        if name is None or name.startswith("row.") or OF_A_FILE.fullmatch(name):
            continue
        close = get_close_matches(name, ("path", "stem", "name"), n=1)
        meant = f"Did you mean {{{close[0]}}}? " if close else f"There are {{{'}, {'.join(NAMES)}}}. "
        raise OptionError(
            f"-i: nothing is called {{{name}}}.", f"{meant}{{{{{name}}}}} stands for the word in its braces."
        )


def uses(template: str, name: str) -> bool:
    """Whether a template has a place of this name."""
    return any(found[2] == name for found in PLACE.finditer(template))


def filled(template: str, paths: Sequence[str], columns: Mapping[str, Any]) -> str:
    """A template with its places filled: ``{path}`` is the first of the row's files, ``{path2}`` the second.

    Raises ``OptionError`` where the row has no such file or column.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] is not None:
            return f"{{{found[1]}}}"
        name = found[2]
        if name.startswith("row."):
            return text_of(column(name.removeprefix("row."), columns))
        match = OF_A_FILE.fullmatch(name)
        assert match is not None, name
        number = int(match[2] or 1)
        if number > len(paths):
            raise OptionError(f"{{{name}}}: the row has {len(paths)} file{'' if len(paths) == 1 else 's'}.")
        path = paths[number - 1]
        named = PurePath(path)
        return {"path": path, "name": named.name, "stem": named.stem}[match[1]]

    return PLACE.sub(value, template)


def column(name: str, columns: Mapping[str, Any]) -> Any:
    """A column of a row, by its name or by that without the spaces around it."""
    for known in columns:
        if known == name or known.strip() == name.strip():
            return columns[known]
    close = get_close_matches(name, list(columns), n=1)
    there = f"Did you mean {{row.{close[0]}}}?" if close else f"There are {', '.join(columns) or 'none'}."
    raise OptionError(f"{{row.{name}}}: the row has no column {name}.", there)


def text_of(value: Any) -> str:
    """A value as a prompt says it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
