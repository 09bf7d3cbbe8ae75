"""An answer as it is, while it is made."""

from __future__ import annotations

from typing import Literal, Protocol

from ..events import Event, ReasoningDelta, TextDelta
from .console import Console

Thoughts = Literal["fold", "show", "hide"]


class View(Protocol):
    """Shows the text events of one answer."""

    def show(self, event: Event) -> None:
        """Show one event; others than text are passed over."""

    def close(self) -> None:
        """The answer has ended, or was cut: end its line."""


class PlainView:
    """The text as it comes, to stdout. Thoughts go to stderr where a person watches, named for who cannot see dim."""

    def __init__(self, console: Console, thoughts: Thoughts = "show", *, named: bool = False) -> None:
        self.console = console
        self.hidden = thoughts == "hide"
        self.named = named
        self.thought = self.said = ""

    def show(self, event: Event) -> None:
        """Write it."""
        match event:
            case ReasoningDelta(text) if text and not self.hidden:
                if self.named and not self.thought:
                    self.console.note("the model thinks:")
                self.console.thought(text)
                self.thought = text
            case TextDelta(text) if text:
                if self.thought:
                    self.end_thought()
                self.console.answer(text)
                self.said = text
            case _:
                pass

    def end_thought(self) -> None:
        """End its line."""
        self.console.thought(line_end(self.thought))
        if self.named:
            self.console.note("the model answers:")
        self.thought = ""

    def close(self) -> None:
        """End the line."""
        if self.thought:
            self.end_thought()
        self.console.answer(line_end(self.said))


class Unseen:
    """Shows nothing: the answer is shown whole when it is there."""

    def show(self, event: Event) -> None:
        """Pass it over."""

    def close(self) -> None:
        """Nothing was begun."""


def line_end(text: str) -> str:
    """What is missing for text to end its line."""
    return "\n" if text and not text.endswith("\n") else ""
