"""How an option is declared: ``option`` and ``flag`` in a panel of the help, and checks of what is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from typer import BadParameter, Option

QUESTION, ANSWER, MEDIA = "Question", "Answer", "Reading media"
MODEL, HARDWARE, OUTPUT = "Model", "Precision and hardware", "Output"
SERVER, LIMITS, ENGINES = "Server", "Limits", "Running engines"
ROWS, MODELS = "Rows", "Models"
REPLICAS = "Replicas"

Number = TypeVar("Number", int, float)


def option_in(panel: str) -> Callable[..., Any]:
    """``typer.Option`` in a panel of the help."""
    return partial(Option, rich_help_panel=panel)


def flag_in(panel: str) -> Callable[..., Any]:
    """An option without a value, in a panel of the help."""
    return partial(Option, rich_help_panel=panel, metavar="")


def at_least(low: float) -> Callable[[Number | None], Number | None]:
    """A check for numbers from ``low`` on. Typer's own bounds would crowd the help."""
    return within(low, math.inf)


def within(low: float, high: float) -> Callable[[Number | None], Number | None]:
    """A check for numbers from ``low`` to ``high``; neither infinity nor not-a-number passes."""

    def check(value: Number | None) -> Number | None:
        if value is not None and not (low <= value <= high and value not in (math.inf, -math.inf)):
            wanted = f"at least {low:g}" if math.isinf(high) else f"from {bound(low)} to {bound(high)}"
            raise BadParameter(f"must be {wanted}, not {str(value)[:40]}.")
        return value

    return check


def bound(value: float) -> str:
    """A bound as it is typed."""
    return f"{value:g}" if abs(value) < 1_000_000 else f"{int(value):,}"


def each(check: Callable[[Number | None], Number | None]) -> Callable[[list[Number] | None], list[Number] | None]:
    """The same check for an option that may be repeated."""

    def check_all(values: list[Number] | None) -> list[Number] | None:
        for value in values or ():
            check(value)
        return values

    return check_all
