"""An answer as it is, while it is made."""

from __future__ import annotations

from typing import Literal, Protocol

from ..events import Event, ReasoningDelta, TextDelta
from .console import Console, is_dumb
from .size import size_of
from .wrapping import WordWrap

Thoughts = Literal["fold", "show", "hide"]


class View(Protocol):
    """Shows the text events of one answer."""

    def show(self, event: Event) -> None:
        """Show one event; others than text are passed over."""

    def close(self) -> None:
        """The answer has ended, or was cut: end its line."""


class PlainView:
    """The text as it comes, to stdout. Thoughts go to stderr where a person watches, named for who cannot see dim.

    Where nothing is redrawn, on a dumb terminal or for a screen reader, lines are broken between words.
    """

    def __init__(self, console: Console, thoughts: Thoughts = "show", *, named: bool = False) -> None:
        self.console = console
        self.hidden = thoughts == "hide"
        self.named = named
        self.reasoning = self.text = ""
        wraps = console.still or is_dumb()
        self.wrap = WordWrap() if wraps and console.stdout is not None and console.stdout.isatty() else None
        self.thinking = WordWrap() if wraps and console.watched else None

    def show(self, event: Event) -> None:
        """Write it."""
        match event:
            case ReasoningDelta(text) if text and not self.hidden:
                if self.named and not self.reasoning:
                    self.console.note("the model thinks:")
                self.console.reasoning(self.thinking.push(text, self.console.room or 0) if self.thinking else text)
                self.reasoning = text
            case TextDelta(text) if text:
                if self.reasoning:
                    self.end_thought()
                self.console.answer(self.wrap.push(text, self.width) if self.wrap else text)
                self.text = text
            case _:
                pass

    def end_thought(self) -> None:
        """End its line."""
        held = self.thinking.flush(self.console.room or 0) if self.thinking else ""
        self.console.reasoning(held + line_end(self.reasoning))
        if self.named:
            self.console.note("the model answers:")
        self.reasoning = ""

    def close(self) -> None:
        """End the line."""
        if self.reasoning:
            self.end_thought()
        held = self.wrap.flush(self.width) if self.wrap else ""
        self.console.answer(held + line_end(self.text))

    @property
    def width(self) -> int:
        """Columns that a line may take."""
        assert self.console.stdout is not None
        return max(1, size_of(self.console.stdout)[0] - 1)


class Unseen:
    """Shows nothing: the answer is shown whole when it is there."""

    def show(self, event: Event) -> None:
        """Pass it over."""

    def close(self) -> None:
        """Nothing was begun."""


def line_end(text: str) -> str:
    """What is missing for text to end its line."""
    return "\n" if text and not text.endswith("\n") else ""
