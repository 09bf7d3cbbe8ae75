"""Options as ``config.toml`` names them, and their values with the types that the options take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperOption

from ..errors import OptionError
from .config_file import EDIT

ASKED = frozenset(
    {
        "image",
        "audio",
        "video",
        "file",
        "clipboard",
        "screenshot",
        "continue",
        "resume",
        "dry_run",
        "output",
        "overwrite",
        "yes",
        "all",
    }
    | {"help", "version", "preset"}
)
"""Options that are given each time: they have no defaults."""

SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def key_of(option: TyperOption) -> str:
    """An option's name in the file: ``max_tokens`` for ``--max-tokens``."""
    long = next((name for name in option.opts if name.startswith("--")), option.opts[0])
    return plain(long.lstrip("-"))


def by_key(parameters: Iterable[Any]) -> dict[str, TyperOption]:
    """Options by every name that they have in the file."""
    found: dict[str, TyperOption] = {}
    for option in parameters:
        if isinstance(option, TyperOption) and key_of(option) not in ASKED:
            found |= {plain(name.lstrip("-")): option for name in option.opts if name.startswith("--")}
    return found


def plain(name: str) -> str:
    """An option's name with underscores, as keys of the file are written here."""
    return name.replace("-", "_")


def from_variable(option: TyperOption, text: str, name: str) -> Any:
    """The value of a variable, as the words of a command line would hold it."""
    if option.is_flag:
        if text.lower() not in SWITCHES:
            raise OptionError(f"{name} must be 1 or 0, not {text[:40]}.", f"Change {name}, or unset it.")
        return SWITCHES[text.lower()]
    return [text] if option.multiple else text


def from_toml(option: TyperOption, value: Any, name: str, place: object) -> Any:
    """A value of the file with the type of its option. Raises ``OptionError`` for another type."""
    annotation: Any = option.type_descriptor.annotation
    if get_origin(annotation) is list:
        (kind,) = get_args(annotation)
        values = value if isinstance(value, list) else [value]
        return [one_value(kind, each, name, place) for each in values]
    return one_value(annotation, value, name, place)


def one_value(annotation: Any, value: Any, name: str, place: object) -> Any:
    """One value with the type that an option takes."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is bool:
        wanted = None if isinstance(value, bool) else "true or false, without quotation marks"
    elif get_origin(annotation) is Literal:
        value = str(value).lower() if isinstance(value, bool) else value
        choices = [str(each) for each in get_args(annotation)]
        wanted = None if value in choices else f"{', '.join(choices[:-1])} or {choices[-1]}"
    elif annotation is int:
        wanted = None if number and isinstance(value, int) else "a whole number"
    elif annotation is float:
        value = float(value) if number else value
        wanted = None if number else "a number"
    else:
        value = str(value) if number else value
        wanted = None if isinstance(value, str) else "a text in quotation marks"
    if wanted is not None:
        raise OptionError(f"{place}: {name} must be {wanted}, not {written(value)}.", EDIT)
    return value


def written(value: Any) -> str:
    """A value as TOML has it, cut."""
    text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
