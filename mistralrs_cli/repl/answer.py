"""What an answer has come to, even if it was stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..events import Done, Event, ReasoningDelta, Started, TextDelta, Usage

if TYPE_CHECKING:
    from ..engine import Engine


class Interrupted(Exception):
    """The answer was stopped before its first word."""


@dataclass(slots=True)
class Answer:
    """What an answer has come to so far."""

    said: str = ""
    thought: str = ""
    started: Started = field(default_factory=lambda: Started(0))
    done: Done | None = None

    def take(self, event: Event) -> None:
        """Add one event."""
        match event:
            case Started():
                self.started = event
            case TextDelta():
                self.said += event.text
            case ReasoningDelta():
                self.thought += event.text
            case Done():
                self.done = event

    def counted(self, engine: Engine) -> Usage:
        """The tokens of an answer that was cut."""
        ids = engine.loaded.tokenizer.encode(self.thought + self.said, add_special_tokens=False)
        return Usage(prompt_tokens=self.started.prompt_tokens, completion_tokens=len(ids))
