"""Groups of options: a command names the group, and gets an object with a value for each option."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


class Only:
    """``Annotated[Group, Only("a", "b")]``: the options of a group that a command takes; others keep their defaults."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def takes(self, name: str) -> bool:
        """Whether the command has this option."""
        return name in self.names


class Except(Only):
    """``Annotated[Group, Except("a", "b")]``: the options of a group that a command lacks."""

    def takes(self, name: str) -> bool:
        """Whether the command has this option."""
        return name not in self.names


def takes_groups(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command for Typer whose parameters of a dataclass type are an option for each field.

    A field is declared as a parameter would be: ``seed: Annotated[int | None, Option("--seed")] = None``.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type[Any], list[str]]] = {}
    hints = get_type_hints(command, include_extras=True)
    for parameter in inspect.signature(command).parameters.values():
        group, cut = group_of(hints[parameter.name])
        if group is None:
            parameters.append(keyword(parameter.name, hints[parameter.name], parameter.default))
            continue
        declared = get_type_hints(group, include_extras=True)
        taken = [field for field in fields(group) if cut is None or cut.takes(field.name)]
        parameters += [keyword(field.name, declared[field.name], field.default) for field in taken]
        groups[parameter.name] = (group, [field.name for field in taken])

    def grouped(**given: Any) -> Any:
        values = {
            name: group(**{field: given.pop(field) for field in names}) for name, (group, names) in groups.items()
        }
        return command(**given, **values)

    grouped.__name__, grouped.__doc__ = command.__name__, command.__doc__
    grouped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    grouped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return grouped


def keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """A parameter that is given by its name."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def group_of(annotation: Any) -> tuple[type[Any] | None, Only | None]:
    """The dataclass behind an annotation, and what is taken of it; ``None`` for what is no group."""
    metadata = getattr(annotation, "__metadata__", ())
    cut = next((extra for extra in metadata if isinstance(extra, Only)), None)
    group = annotation.__origin__ if metadata else annotation
    return (group, cut) if isinstance(group, type) and is_dataclass(group) else (None, None)
