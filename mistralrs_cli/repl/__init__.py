"""The chat: ``mistralrs run`` without a question. Parsing a command line needs no more than this module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import MistralrsError
from ..messages import MediaBytes, MediaOptions, MediaRef, TextFile
from ..options import AttachOptions, MediaPolicy, ModelOptions, Sampling

if TYPE_CHECKING:
    from ..start import Models
    from ..terminal.console import Console


@dataclass(frozen=True)
class ChatRequest:
    """A parsed ``run`` without ``-i``: with whom to talk, about what, and how to show it."""

    model: ModelOptions
    sampling: Sampling = field(default_factory=Sampling)
    media_options: MediaOptions = field(default_factory=MediaOptions)
    media: tuple[MediaRef | MediaBytes | TextFile, ...] = ()
    question: str | None = None
    """The one question of a chat that goes on in the shell; its words are no names of media."""
    system: str | None = None
    kind: str | None = None
    named: bool = True
    """Whether the user named the model."""
    resume: str | None = None
    """The id of a kept conversation; empty for the latest."""
    choose: bool = False
    """Whether the user chooses one of the kept conversations from a list."""
    plain: bool = False
    json: bool = False
    """For lines from a pipe: an object for each, in place of its answer."""
    quiet: bool = False
    stats: bool = True
    verbose: bool = False
    unasked: MistralrsError = field(default_factory=lambda: MistralrsError("There is no question."))
    """What to say where a pipe holds none."""
    policy: MediaPolicy = field(default_factory=MediaPolicy)
    attach: AttachOptions = field(default_factory=AttachOptions)

    def run(self, console: Console, models: Models) -> int:
        """Talk until the user leaves. The exit code is that of the first question that failed in a pipe, else 0."""
        from .loop import run_chat

        return run_chat(self, console, models)
