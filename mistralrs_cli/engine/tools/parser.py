"""Tool calls parsed out of an answer while it streams. Pure."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Iterator

from ...events import TextDelta
from ...messages import ToolCall
from ...options import Tools
from ..detokenizer import longest_partial
from .syntax import Call, ToolSyntax, partial_call, unclosed

ID_LETTERS = string.ascii_letters + string.digits
ID_LENGTH = 9  # what Mistral's templates ask for, and others do not mind


class ToolParser:
    """Splits an answer into text and tool calls. What only looks like a call comes out as text, whole."""

    def __init__(self, syntax: ToolSyntax, tools: Tools) -> None:
        self.syntax = syntax
        self.tools = tools
        self.calls = 0
        self._names = {definition["function"]["name"] for definition in tools.definitions}
        self._only = tools.name or (next(iter(self._names)) if len(self._names) == 1 else None)
        self._text = ""  # what is not decided yet
        self._opening: str | None = None  # what began the call that the text is inside of; "" for a bare object
        self._whitespace = ""  # the white space before it
        self._empty = True  # neither text nor calls so far

    @property
    def finished(self) -> bool:
        """Whether no more may follow: one call was all that was wanted."""
        return self.calls > 0 and not self.tools.parallel

    def push(self, text: str) -> Iterator[TextDelta | ToolCall]:
        """What more text makes certain."""
        self._text += text
        while not self.finished:
            if self._opening is None:
                words, self._opening = self._next_call()
                yield from self._text_events(words)
            if self._opening is None:
                return
            body = self._body()
            if body is None:
                return
            yield from self._read(body, self.syntax.closing or "")

    def flush(self, *, cut: bool = False) -> Iterator[TextDelta | ToolCall]:
        """What is left when the answer has ended: perhaps a call without its closing marker.

        A call that was ``cut`` comes with as much of its arguments as there is; what has no name yet is no call, and
        where one had to be made it is no answer either.
        """
        rest, self._text = self._text, ""
        if cut and (self._opening is not None or self._awaited):
            yield from self._read_cut(rest)
        elif self._opening is None:
            yield from self._text_events("" if self.finished else rest)
        else:
            yield from self._read(rest, "")

    @property
    def _awaited(self) -> bool:
        """Whether a call has to be made still: then nothing that was written is an answer."""
        return self.tools.choice == "required" and not self.calls

    def _read_cut(self, body: str) -> Iterator[TextDelta | ToolCall]:
        """The calls in a body that was cut, the last of them perhaps in part."""
        try:
            if unclosed(body):
                raise ValueError("a call in tags that has not ended")
            self.syntax.read(body, self.tools)
        except (ValueError, RecursionError):
            found = partial_call(self.syntax, body, self.tools)
            if found is None or found[0] not in self._names:
                if not self._awaited:
                    yield from self._read(body, "")
                    return
                if self._only is None:
                    return
                found = self._only, ""
            self._opening, self._empty = None, False
            self.calls += 1
            name, arguments = found
            yield ToolCall(call_id(), name, arguments)
        else:
            yield from self._read(body, "")

    def _next_call(self) -> tuple[str, str | None]:
        """The words up to the next call, and what begins it; without one, the words that cannot belong to a call.

        White space waits for what follows it: before a call it goes.
        """
        self._whitespace = ""
        if self.syntax.bare and self._empty and self._text.lstrip().startswith("{"):
            return "", ""
        opening = self.syntax.opening
        words, found, after = self._text.partition(opening)
        if found:
            self._text = after
            said = words.rstrip()
            self._whitespace = words[len(said) :]
            return said, opening
        keep = longest_partial(self._text, (opening,))
        words = self._text[: len(self._text) - keep].rstrip()
        self._text = self._text[len(words) :]
        return words, None

    def _body(self) -> str | None:
        """What stands inside the present call, once its end is there."""
        if self._opening == "":
            return None
        end = self.syntax.closing or self.syntax.opening
        body, found, after = self._text.partition(end)
        if not found:
            return None
        self._text = after if self.syntax.closing else end + after
        return body

    def _read(self, body: str, closing: str) -> Iterator[TextDelta | ToolCall]:
        """The calls in a body, or the body as text."""
        opening, self._opening = self._opening or "", None
        try:
            found = self.syntax.read(body, self.tools)
            if not opening and not all(name in self._names for name, _, _ in found):
                raise ValueError("an object, but no call")
        except (ValueError, RecursionError):
            yield from self._text_events(self._whitespace + opening + body + closing)
            return
        for call in found:
            if not self.finished:
                self.calls += 1
                self._empty = False
                yield as_call(call)

    def _text_events(self, text: str) -> Iterator[TextDelta]:
        if text:
            self._empty = False
            yield TextDelta(text)


def as_call(call: Call) -> ToolCall:
    """A call with an id of its own, if the model gave none."""
    name, arguments, given = call
    return ToolCall(given or call_id(), name, json.dumps(arguments, ensure_ascii=False))


def call_id() -> str:
    """The id of a call."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))
