"""Private names of typer and of Python itself. ``tests/drift/test_private_names.py`` checks each of them."""

from __future__ import annotations

import atexit
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from typer._coercion import TypeDescriptor


def enable_completion() -> None:
    """Let typer answer a shell that asks it for completions."""
    from typer._completion_classes import completion_init

    completion_init()


def completion_script(program: str, variable: str, shell: str) -> str:
    """The script by which a shell completes ``program``, which reads ``variable`` of the environment."""
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name=program, complete_var=variable, shell=shell)


def run_exit_functions() -> None:
    """Run what was registered with ``atexit``, as the end of the interpreter would."""
    atexit._run_exitfuncs()


class PlainCoercion:
    """An option's value from the words of a command line, without pydantic where it is a plain one.

    Typer imports pydantic for every value, which takes longer than all else before an attached engine is asked. What
    is not plainly of the option's type is left to it, with its errors.
    """

    def __init__(self, descriptor: TypeDescriptor) -> None:
        self._descriptor = descriptor

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value that typer would make."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        found = plain(value, self._descriptor.annotation)
        if found is UNKNOWN:
            from typer._coercion import build_runtime_param

            return build_runtime_param(self._descriptor).coerce(value, param=param, ctx=ctx)
        return found


UNKNOWN = object()
INTEGER = re.compile(r"-?\d{1,18}")
DECIMAL = re.compile(r"-?\d{1,15}(\.\d{1,15})?")


def plain(value: Any, annotation: Any) -> Any:
    """A value of the type, or ``UNKNOWN``."""
    if get_origin(annotation) is list and isinstance(value, (list, tuple)):
        (kind,) = get_args(annotation)
        items = [plain(item, kind) for item in value]
        return UNKNOWN if UNKNOWN in items else items
    if get_origin(annotation) is Literal and value in get_args(annotation):
        return value
    if annotation in (str, int, float) and type(value) is annotation:
        return value
    if annotation is int and isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    if annotation is float and isinstance(value, str) and DECIMAL.fullmatch(value):
        return float(value)
    return UNKNOWN


def coerce_plainly(parameters: Iterable[Any]) -> None:
    """Have options and arguments convert plain values themselves."""
    for parameter in parameters:
        if not hasattr(parameter, "type_descriptor"):
            continue
        info = parameter.type_descriptor.parameter_info
        if parameter._runtime_param is None and info.parser is None and info.min is None and info.max is None:
            parameter._runtime_param = PlainCoercion(parameter.type_descriptor)
