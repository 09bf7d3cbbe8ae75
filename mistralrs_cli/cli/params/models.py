"""Several models behind one server: the panel Models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ...options import ServerOptions
from .option import MODELS, at_least, option_in

option = option_in(MODELS)


@dataclass(frozen=True)
class ModelsParams:
    """Which models a server holds, and when they are loaded and unloaded."""

    models: Annotated[
        str | None,
        option("--models", metavar="FILE", help="A TOML file with several models, their options and other names."),
    ] = None
    keep_alive: Annotated[
        str | None,
        option(
            "--keep-alive",
            metavar="TIME",
            help="Unload models that were idle for so long: 90s, 10m, 2h. Unset: when another needs the memory.",
        ),
    ] = None
    max_models_loaded: Annotated[
        int | None,
        option(
            "--max-models-loaded",
            metavar="N",
            callback=at_least(1),
            help="Most models in memory at once. Unset: as many as fit.",
        ),
    ] = None
    load_timeout: Annotated[
        float,
        option(
            "--load-timeout",
            metavar="SECONDS",
            callback=at_least(1),
            help="How long a request waits for its model to be loaded; then it gets 503.",
        ),
    ] = ServerOptions.load_timeout
