"""One row of a batch: what is asked, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import MistralrsError
from ..events import Reply
from ..messages import Message
from ..options import Sampling, Tools


@dataclass(frozen=True, slots=True)
class Row:
    """One question, of whose media nothing is read yet.

    ``id`` says where it comes from: a path, a ``custom_id``, the line of a table. ``paths`` are the files that it asks
    about and ``columns`` what the input's row holds; both are written out again. ``custom_id`` marks a line of an
    OpenAI batch, which is answered by one. Values of ``sampling`` that are not ``None`` win over those of the run.
    ``error`` is why the row cannot be asked.
    """

    id: str
    messages: tuple[Message, ...] = ()
    paths: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    sampling: Sampling | None = None
    tools: Tools | None = None
    custom_id: str | None = None
    error: MistralrsError | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row: an answer, or why there is none; ``seconds`` is how long that took, reading media and all.

    An answer that was cut is there beside its error. ``notes`` say what a user should know of the media, such as that
    only the first image of an animation was used.
    """

    row: Row
    reply: Reply | None = None
    error: Exception | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
