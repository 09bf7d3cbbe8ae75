"""Token ids to text, as it can be shown: whole characters only, and never a part of a stop string. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "�"
LONGEST_CHARACTER = 4  # bytes of the longest UTF-8 character: at most that many byte tokens make one
LONGEST_GARBAGE = 64  # tokens that are no characters, before the window starts again


class Detokenizer:
    """The text of one growing answer.

    ``decode`` turns ids into text; it is called on a short window, since a tokenizer's text for an id can depend on
    the ids before it. ``after`` are the last ids of a text that this one goes on with.
    """

    def __init__(
        self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = (), after: Sequence[int] = ()
    ) -> None:
        self.decode = decode
        self.stop = tuple(text for text in stop if text)
        self.stopped_by: str | None = None
        self._ids: list[int] = list(after)
        self._start = 0  # the window begins here
        self._shown = len(self._ids)  # ids before this one are in the text already
        self._sent = 0  # characters of the ids after it that were whole and are in the text too
        self._waited = 0  # tokens without a whole character since
        self._held = ""  # text that may be the beginning of a stop string

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come."""
        return self.stopped_by is not None

    def push(self, token: int) -> str:
        """The text that one more token makes certain, possibly none."""
        self._ids.append(token)
        return self._release(self._new_text(final=False), final=False)

    def flush(self) -> str:
        """What is still held back when the answer ends."""
        return "" if self.stopped else self._release(self._new_text(final=True), final=True)

    def _new_text(self, *, final: bool) -> str:
        before = self.decode(self._ids[self._start : self._shown])
        window = self.decode(self._ids[self._start :])
        text = window[len(before) + self._sent :]
        if text.endswith(REPLACEMENT) and not final:
            certain = text.rstrip(REPLACEMENT)
            self._waited = 1 if certain else self._waited + 1
            if self._waited == LONGEST_CHARACTER:  # the first begins none; the others still may
                self._waited -= 1
                certain = self.decode(self._ids[self._start : -self._waited])[len(before) + self._sent :]
            if len(self._ids) - self._shown < LONGEST_GARBAGE:
                self._sent += len(certain)
                return certain
        if text:
            self._start, self._shown, self._sent, self._waited = self._shown, len(self._ids), 0, 0
        return text

    def _release(self, text: str, *, final: bool) -> str:
        text = self._held + text
        found = [(at, stop) for stop in self.stop if (at := text.find(stop)) >= 0]
        if found:
            cut, self.stopped_by = min(found)
            self._held = ""
            return text[:cut]
        keep = 0 if final else longest_partial(text, self.stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def longest_partial(text: str, stop: Sequence[str]) -> int:
    """The length of the longest end of ``text`` that begins a stop string."""
    longest = max((len(string) for string in stop), default=0)
    for length in range(min(len(text), longest - 1), 0, -1):
        if any(string.startswith(text[-length:]) for string in stop):
            return length
    return 0
