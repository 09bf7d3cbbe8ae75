"""The lines that were typed, of this chat and of those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from ..conversation.store import Store


class Lines(History):
    """The lines of a history, each as ``whole`` makes it before it is kept."""

    def __init__(self, kept: History, whole: Callable[[str], str]) -> None:
        super().__init__()
        self.kept = kept
        self.whole = whole

    def load_history_strings(self) -> Iterable[str]:
        """The lines, the latest first."""
        return self.kept.load_history_strings()

    def append_string(self, string: str) -> None:
        """Keep one more."""
        super().append_string(self.whole(string))

    def store_string(self, string: str) -> None:
        """Write it; on a full disk it is remembered for this chat alone."""
        with suppress(OSError):
            self.kept.store_string(string)


def history(store: Store, whole: Callable[[str], str]) -> History:
    """The lines of all chats, or of this one where they cannot be kept."""
    try:
        return Lines(FileHistory(str(store.history)), whole)
    except OSError:
        return Lines(InMemoryHistory(), whole)
