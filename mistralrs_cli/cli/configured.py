"""A job with options that the command line did not give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import MistralrsError
from .config_file import ConfigFile
from .defaults import Found

if TYPE_CHECKING:
    from ..start import Models
    from ..terminal.console import Console
    from .job import Job


@dataclass(frozen=True)
class Configured:
    """The job. Errors on one of them say where it is set."""

    job: Job
    found: Mapping[str, Found]
    file: ConfigFile

    def run(self, console: Console, models: Models) -> int | None:
        """Do it, with a note where others can read a secret."""
        if any(each.in_file and each.hidden for each in self.found.values()) and self.file.readable_by_others:
            console.note(f"{self.file.path} holds a secret, and others can read it: chmod 600 {self.file.path}")
        try:
            return self.job.run(console, models)
        except MistralrsError as error:
            raise located(error, self.found) from error.__cause__


def located(error: MistralrsError, found: Mapping[str, Found]) -> MistralrsError:
    """The error, with the place where an option is set that it names, or whose value it names."""
    places: dict[str, None] = {}
    for each in found.values():
        flag = f"--{each.key.replace('_', '-')}"
        words = error.message.replace(",", " ").replace(":", " ").replace(".", " ").split()
        shown = isinstance(each.value, str) and len(each.value) > 2 and not each.hidden and each.value in error.message
        if flag in words or shown:
            places[f"{flag} is set in {each.source}."] = None
    error.hint = " ".join(filter(None, (error.hint, *places))) or None
    return error
