"""Words without a flag: the kind of model, and the media of ``inspect``."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

Kind = Annotated[
    str | None,
    Argument(
        metavar="KIND",
        help="What the model must be: auto, text, multimodal, or vision, the old name of multimodal.",
        hidden=True,
    ),
]
Sources = Annotated[list[str], Argument(metavar="MEDIA", help="Images, audio and videos, in order.", hidden=True)]
