"""What answers in place of an engine here: one that runs already, one that is to stay, or a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..options import AttachOptions, ModelOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.status import Status

if TYPE_CHECKING:
    from ..attach import AttachedEngine
    from ..attach.server import ServerEngine

    Elsewhere = AttachedEngine | ServerEngine


def elsewhere(
    options: ModelOptions, how: AttachOptions, console: Console, models: Models, *, named: bool
) -> Elsewhere | None:
    """The server of ``how``, or an engine that has loaded what ``options`` ask for, if one runs."""
    if how.server is None:
        return models.attach(options, how, console.note)
    from ..attach.server import at

    return at(options, how, named=named)


def kept(
    options: ModelOptions,
    how: AttachOptions,
    console: Console,
    models: Models,
    *,
    kind: str | None = None,
    speech: bool = False,
) -> AttachedEngine | None:
    """Start an engine that stays; ``None``, with a note, where none can. One for ``speech`` need not answer questions.

    Raises what opening the checkpoint raises.
    """
    from ..attach.record import own_folder

    try:
        own_folder()
    except OptionError as error:
        console.note(f"{error.message} {error.hint}")
        return None
    with console.status(f"Opening {options.model_id}", animated=False):
        return models.keep(options, how, kind=kind, speech=speech, verbose=console.verbose, bars=console.interactive)


@dataclass(frozen=True)
class Watching:
    """Shows what an engine in another process does."""

    console: Console
    status: Status

    def say(self, label: str) -> None:
        """On the status line."""
        self.status.show(label)

    def note(self, text: str) -> None:
        """As a note."""
        self.console.note(text)
