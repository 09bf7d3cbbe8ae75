"""Tokens to events: reasoning between the two thinking tokens, text outside them, and tool calls. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..events import Event, ReasoningDelta, TextDelta
from .detokenizer import Detokenizer
from .tools.parser import ToolParser

OPENING = 4  # tokens at the end of a prompt in which the template may open a thought, heading included


@dataclass(frozen=True, slots=True)
class ThinkingTokens:
    """The token that begins a thought, the one that ends it, and a heading that every thought begins with."""

    begin: int
    end: int
    heading: str = ""

    def unfinished(self, ids: Sequence[int]) -> bool:
        """Whether a prompt ends inside a thought, as templates do that open it for the model.

        Further up the same token is part of the conversation, a question about it for instance.
        """
        last = next((token for token in reversed(ids[-OPENING:]) if token in (self.begin, self.end)), self.end)
        return last == self.begin


class OutputParser:
    """Parses one answer. Stop strings apply to text, not to reasoning; blank lines after reasoning are dropped."""

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: Sequence[str] = (),
        thinking: ThinkingTokens | None = None,
        prompt: Sequence[int] = (),
        tools: ToolParser | None = None,
        after: Sequence[int] = (),
    ) -> None:
        self._text = Detokenizer(decode, stop, after)
        self._reasoning = Detokenizer(decode)
        self._tools = tools
        self._decode = decode
        self._tokens = thinking
        self._thinking = thinking is not None and thinking.unfinished(prompt)
        self._heading = ""  # what a thought is still expected to begin with
        self._partial_heading = ""  # what it has begun with, as long as that may be the heading
        self._after_thought = False

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come, or the only call that was wanted."""
        return self._text.stopped or (self._tools is not None and self._tools.finished)

    @property
    def stopped_by(self) -> str | None:
        """The stop string that came."""
        return self._text.stopped_by

    @property
    def called(self) -> bool:
        """Whether functions were called."""
        return self._tools is not None and self._tools.calls > 0

    @property
    def thinking(self) -> bool:
        """Whether the model is inside a thought."""
        return self._thinking

    def push(self, token: int) -> Iterator[Event]:
        """The events that one more token makes certain."""
        if self._tokens is not None and token == self._tokens.begin and not self._thinking:
            self._thinking, self._heading, self._reasoning = True, self._tokens.heading, Detokenizer(self._decode)
        elif self._tokens is not None and token == self._tokens.end and self._thinking:
            yield from self._end_thought()
            self._thinking, self._after_thought = False, True
        elif self._thinking:
            yield from self._reasoning_events(self._reasoning.push(token))
        else:
            yield from self._text_events(self._text.push(token))

    def flush(self, *, cut: bool = False) -> Iterator[Event]:
        """What is still held back when the answer ends; ``cut`` where the model would have gone on."""
        if self._thinking:
            yield from self._end_thought()
        yield from self._text_events(self._text.flush())
        if self._tools is not None:
            yield from self._tools.flush(cut=cut)

    def _end_thought(self) -> Iterator[Event]:
        yield from self._reasoning_events(self._reasoning.flush())
        if self._partial_heading:
            yield ReasoningDelta(self._partial_heading)
        self._partial_heading = ""

    def _reasoning_events(self, text: str) -> Iterator[Event]:
        text, self._partial_heading = self._partial_heading + text, ""
        if self._heading and len(text) < len(self._heading) and self._heading.startswith(text):
            self._partial_heading = text
            return
        text, self._heading = text.removeprefix(self._heading), ""
        if text:
            yield ReasoningDelta(text)

    def _text_events(self, text: str) -> Iterator[Event]:
        if self._after_thought:
            text = text.lstrip("\n")
        if text:
            self._after_thought = False
            if self._tools is None:
                yield TextDelta(text)
            else:
                yield from self._tools.push(text)
