"""What an answer has come to, even if it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import MistralrsError
from ..events import Done, Event, ReasoningDelta, Started, TextDelta, Usage
from ..terminal.console import ReaderLeft


class Interrupted(Exception):
    """The answer was stopped before its first word."""


@dataclass(slots=True)
class Answer:
    """What an answer has come to so far. ``pieces`` counts its text events, which is about its tokens."""

    text: str = ""
    reasoning: str = ""
    pieces: int = 0
    started: Started = field(default_factory=lambda: Started(0))
    done: Done | None = None
    unshown: Exception | None = None
    """Why its text could not be written any more, if that ended it."""

    def take(self, event: Event) -> None:
        """Add one event."""
        match event:
            case Started():
                self.started = event
            case TextDelta():
                self.text += event.text
                self.pieces += 1
            case ReasoningDelta():
                self.reasoning += event.text
                self.pieces += 1
            case Done():
                self.done = event

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Within the block its text is written; that it cannot be is noted, and ends the answer where it is."""
        try:
            yield
        except (MistralrsError, ReaderLeft) as error:
            self.unshown = self.unshown or error

    def usage_so_far(self, count_tokens: Callable[[str, int], int]) -> Usage:
        """The tokens of an answer that was cut, counted from its text and its number of pieces."""
        count = count_tokens(self.reasoning + self.text, self.pieces)
        return Usage(prompt_tokens=self.started.prompt_tokens, completion_tokens=count)
