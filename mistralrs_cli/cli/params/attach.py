"""Engines that run already: the panel Running engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .option import ENGINES, flag_in, option_in

option, flag = option_in(ENGINES), flag_in(ENGINES)


@dataclass(frozen=True)
class AttachParams:
    """Whether an engine that runs already answers, and whether one is left running."""

    keep: Annotated[
        str | None,
        option(
            "--keep",
            metavar="TIME",
            help="Leave the engine running until it was idle for so long: 90s, 10m, 2h. Later commands attach to it.",
        ),
    ] = None
    server: Annotated[
        str | None,
        option(
            "--server",
            metavar="URL",
            help="Let a server answer: mistralrs serve, or another with OpenAI's interface. -m is its model's name.",
        ),
    ] = None
    no_attach: Annotated[
        bool, flag("--no-attach", help="Load the model here, even where an engine runs that has it.")
    ] = False
