"""Errors as Python programs expect them: what was asked wrongly is a ``ValueError``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import MistralrsError


class RunnerError(RuntimeError):
    """Something went wrong that no other request would have avoided: the message says what, and what to do."""


class RequestError(ValueError):
    """A model, request or medium that cannot be: the message says what, and what to do."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors as ``ValueError`` or ``RuntimeError``, with the hint in the message."""
    try:
        yield
    except MistralrsError as error:
        kind = RequestError if error.http_status < 500 else RunnerError
        raise kind("\n".join(filter(None, (error.message, error.hint)))) from error


def refuse_unknown(holder: object, names: Iterable[str]) -> None:
    """Raise ``ValueError`` where something is set that there is nothing of here."""
    refuse({name: getattr(holder, name) for name in names})


def refuse(values: dict[str, Any]) -> None:
    """Raise ``ValueError`` for each value that is set: ignoring it would be worse."""
    found = [name for name, value in values.items() if value not in (None, False)]
    if found:
        raise RequestError(f"There is no {found[0]} here.\nLeave it out: docs/sdk.md lists what is not there.")
