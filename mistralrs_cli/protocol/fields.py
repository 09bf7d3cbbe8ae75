"""Reading JSON values that a request may hold in any form: what does not fit is refused by its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ..errors import OptionError
from .ignored_fields import ignore_field, is_empty

Type = TypeVar("Type")
MOST = 1e15
NAMES: dict[type, str] = {str: "text", dict: "an object", list: "a list", bool: "true or false"}


def wrong(place: str, what: str, hint: str | None = None) -> OptionError:
    """The error for a field: ``messages[0].content[1].type is missing.``"""
    return OptionError(f"{place} {what}", hint, param=place)


def instance(value: object, kind: type[Type], place: str) -> Type:
    """The value, if it is of that JSON type."""
    if not isinstance(value, kind):
        raise wrong(place, f"must be {NAMES[kind]}, not {shown(value)}.")
    return value


def number(value: object, place: str, *, low: float = 0.0, whole: bool = False) -> float:
    """A number from ``low`` on, none of astronomical size."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= MOST
    if not fits or (whole and value != int(value)):  # type: ignore[call-overload]
        raise wrong(place, f"must be a {'whole ' if whole else ''}number of at least {low:g}, not {shown(value)}.")
    return value  # type: ignore[return-value]


def only(value: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    """Pass over fields that mean nothing here, as ``ignore_field`` does."""
    names = frozenset(known)
    for name in value:
        if name not in names and not is_empty(value[name]):
            ignore_field(f"{place}.{name}", hint=f"Known are {', '.join(sorted(names))}.")


def shown(value: object) -> str:
    """A value in an error message: short, and never the data of a medium."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return repr(value if len(value) <= 40 else value[:40] + "…")
        case int() | float():
            return str(value)[:40]
        case list():
            return "a list"
    return "an object"
