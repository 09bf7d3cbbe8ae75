"""What a recording says: segments with their times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..events import Usage
from .stitch import join

Times = Literal["model", "window"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word, and when it is said, in seconds of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Text, and when it is said, in seconds of the recording. ``words`` is empty where the model gives no times.

    ``times`` says where ``start`` and ``end`` come from: the ``model``, or the ``window`` that was cut at pauses.
    ``cut`` says that the model did not come to the end of what it wrote.
    """

    text: str
    start: float
    end: float
    times: Times = "window"
    words: tuple[Word, ...] = ()
    cut: bool = False


@dataclass(slots=True)
class Transcript:
    """A whole recording. ``language`` is a code such as ``en``, where it was given or found; ``seconds`` its length."""

    segments: list[Segment] = field(default_factory=list)
    language: str | None = None
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    translated: bool = False

    @property
    def text(self) -> str:
        """Everything that is said."""
        return join([segment.text for segment in self.segments])

    @property
    def times(self) -> Times:
        """Where the times come from."""
        return "model" if self.segments and all(part.times == "model" for part in self.segments) else "window"
