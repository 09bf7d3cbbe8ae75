"""What a command line asks for, once it is parsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..start import Models
    from ..terminal.console import Console


class Job(Protocol):
    """A parsed command line: parsing returns it, ``cli.app`` runs it."""

    def run(self, console: Console, models: Models) -> int | None:
        """Do it and return an exit code; ``None`` is 0. Takes its model, if it needs one, from ``models``."""


@dataclass(frozen=True, slots=True)
class Task:
    """A job that is one function and needs no model."""

    work: Callable[[Console], int | None]

    def run(self, console: Console, models: Models) -> int | None:
        """Call the function."""
        return self.work(console)
