"""Values that a program hands in, as the types they are meant to be: numbers of NumPy, single items, paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..media.from_python import is_number
from .forms import is_form
from .problems import RequestError

FLOATS = ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")
WHOLE = ("max_tokens", "top_k", "seed", "top_logprobs", "dry_allowed_length", "n_choices")
NUMBERS: dict[str, type[float]] = dict.fromkeys((*FLOATS, "dry_base", "dry_multiplier"), float)
NUMBERS |= dict.fromkeys((*WHOLE, "max_seqs", "prefix_cache_n", "threads", "tokens", "jobs"), int)
TYPES: dict[Any, str] = {str: "text", Mapping: "a dictionary"}


def number(value: Any, name: str) -> Any:
    """A number of Python's, of whatever kind it was given. Raises ``ValueError`` for anything else.

    >>> number(5.0, "max_tokens"), number(1, "temperature")
    (5, 1.0)
    """
    whole = NUMBERS.get(name) is int
    try:
        if is_number(value) and not (whole and value != int(value)):
            return int(value) if whole else float(value)
    except (ValueError, OverflowError):  # infinity, or not a number, where a whole one is meant
        pass
    raise RequestError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r:.40}.")


def at_least(low: int, value: Any, name: str) -> int:
    """A whole number from ``low`` on. Raises ``ValueError`` for anything else."""
    found: int = number(value, name)
    if found < low:
        raise RequestError(f"{name} must be at least {low}, not {found}.")
    return found


def one_of(known: Sequence[str], value: Any, name: str) -> Any:
    """One of the known words. Raises ``ValueError`` for anything else."""
    if value not in known:
        raise RequestError(f"{name} must be one of {', '.join(known)}, not {value!r:.40}.")
    return value


def instance(value: Any, kind: Any, name: str) -> Any:
    """The value, if it is of that type. Raises ``ValueError`` otherwise."""
    if not isinstance(value, kind):
        raise RequestError(f"{name} must be {TYPES[kind]}, not {value!r:.40}.")
    return value


def several(value: Any) -> list[Any]:
    """A list, also of what is one item: a text is one text, not its letters.

    >>> several("END"), several(["a", "b"]), several(None)
    (['END'], ['a', 'b'], [])
    """
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or is_form(value) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def tokens_of(value: Any) -> list[int]:
    """Token ids: one, or several in any kind of list."""
    return [number(each, "tokens") for each in (value if isinstance(value, Iterable) else [value])]


def path_of(path: Any, name: str) -> str | None:
    """A path as text. Raises ``ValueError`` for anything else."""
    if path is None or isinstance(path, (str, os.PathLike)):
        return None if path is None else os.fsdecode(path)
    raise RequestError(f"{name} must be a path, not {path!r:.40}.")


def layers_of(value: Any) -> str | None:
    """The text layers of every device, ``0:16;1:16``: as one text, several, or one number for the first device."""
    if is_number(value):
        return str(value)
    return ";".join(instance(each, str, "num_device_layers") for each in several(value)) or None
