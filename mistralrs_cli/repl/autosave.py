"""Keeps a chat on the disk as it goes: the question when it is sent, the answer as it grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ..conversation import Conversation, Turn
from ..conversation.store import Store
from ..errors import MistralrsError
from ..events import Usage
from ..messages import Message
from ..terminal.console import Console
from .answer import Answer

INTERVAL = 0.5
"""Seconds between two writes of an answer that grows; with the write itself at most a second of it can be lost."""

PATIENCE = 5.0
"""Seconds that an answer is held back for its question to reach the disk."""

RESCUE = "/save FILE on another disk keeps it"


@dataclass(eq=False)
class RunningTurn:
    """The turn that is being answered. Until its media are read the question is the line as it was typed."""

    question: Message
    typed: str
    staged: int
    model: str
    answer: Answer = field(default_factory=Answer)

    def turn(self) -> Turn:
        """What there is of it, as if the user stopped it now."""
        usage = Usage(prompt_tokens=self.answer.started.prompt_tokens, completion_tokens=self.answer.pieces)
        return Turn(
            self.question,
            self.answer.text,
            typed=self.typed,
            staged=self.staged,
            cut=True,
            reasoning=self.answer.reasoning,
            model=self.model,
            usage=usage,
        )


class Autosave:
    """Writes the conversation of a chat, and says once what could not be written.

    ``failure`` is why the last write failed, if it did. ``ending`` is set where a signal ends the process: then a
    running turn stays on the disk as far as it went, where an error would have taken it back.
    """

    def __init__(self, store: Store, console: Console) -> None:
        self.store = store
        self.console = console
        self.failure: MistralrsError | None = None
        self.ending = False
        self._known: str | None = None  # the failure the user knows of
        self._reminded: dict[str, list[Turn]] = {}  # by the way of leaving, the turns that may be lost
        self._fork: str | None = None  # the new id of a chat that another process went on with
        self._current: TurnWriter | None = None

    def keep(self, conversation: Conversation, turns: Sequence[Turn] | None = None, *, media: bool = True) -> None:
        """Write a conversation, or these turns as its own; what goes wrong is reported by ``report``.

        One without a turn is removed. Without ``media`` only words are written, and a failure of media stands.
        """
        before, held = conversation.id, self.store.holds(conversation)
        try:
            if conversation.turns if turns is None else turns:
                self.store.save(conversation, turns, media=media)
            else:
                self.store.drop(conversation)
            if media:
                self.failure = None
        except MistralrsError as error:
            self.failure = error
        if held and conversation.id != before:
            self._fork = conversation.id

    def report(self) -> None:
        """Say what happened since the last time: a write that failed or works again, a chat that became two."""
        if self._fork is not None:
            self.console.note(f"another process continued this chat, so yours is saved separately: {self._fork}")
            self._fork = None
        if self.failure is not None and self.failure.message != self._known:
            self.console.error(self.failure.message, f"{RESCUE}; every question tries again.")
        elif self.failure is None and self._known is not None:
            self.console.note("the chat is saved again")
        self._known = self.failure.message if self.failure else None

    @contextmanager
    def watching(self, conversation: Conversation, running: RunningTurn) -> Iterator[TurnWriter]:
        """Within the block the running turn is written every half second, unless a turn was added meanwhile.

        After it the conversation is written: without the running turn, but where the process is being ended.
        """
        watch = self._current = TurnWriter(self, conversation, running)
        watch.start()
        try:
            yield watch
        finally:
            watch.stop()
            watch.join(INTERVAL)
            if watch.is_alive():
                with suppress(KeyboardInterrupt), self.console.status("Saving the chat"):
                    watch.join()
            self._current = None

    def end(self) -> None:
        """A signal ends the process: a running turn stays as far as it went."""
        self.ending = True

    def keep_running(self) -> None:
        """Write what there is of a turn, for a process that ends before its main thread does."""
        self.ending = True
        if self._current is not None:
            self._current.write(media=True)

    def may_discard(self, conversation: Conversation, way: str) -> bool:
        """Whether a conversation may be left in this way: it is kept, or the user was reminded that it is not."""
        if self.failure is None or not conversation.turns:
            return True
        self.keep(conversation)
        if self.failure is None or any(self._reminded.get(known) is conversation.turns for known in (way, RESCUE)):
            return True
        self._reminded[way] = conversation.turns
        return False

    def exported(self, conversation: Conversation) -> None:
        """The user has written the conversation elsewhere."""
        self._reminded[RESCUE] = conversation.turns


class TurnWriter(threading.Thread):
    """Writes one running turn again and again. ``stored`` is set once that was tried with the whole question."""

    def __init__(self, autosave: Autosave, conversation: Conversation, running: RunningTurn) -> None:
        super().__init__(name="mistralrs-autosave", daemon=True)
        self.autosave = autosave
        self.conversation = conversation
        self.running = running
        self.before = conversation.turns
        self.begun = False
        self.stored = threading.Event()
        self._sent = False
        self._due = threading.Event()
        self._over = False
        self._written: tuple[Message, int, bool] | None = None
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Until the question is on the disk, or could not be put there, or for as long as patience lasts."""
        self.stored.wait(PATIENCE)

    def send(self, question: Message) -> None:
        """The question is whole: write it at once."""
        self.running.question = question
        self._sent = True
        self._due.set()

    def run(self) -> None:
        """Write every half second what is new, and in the end what has become of the turn."""
        while not self._over:
            self._due.wait(INTERVAL)
            self._due.clear()
            sent = self._sent
            if not self._over:
                self.write(media=not self.stored.is_set())
            if sent:
                self.stored.set()
        if self.autosave.ending:
            self.write(media=True)
        elif self.begun or self.conversation.turns is not self.before:
            with self._lock:
                self.autosave.keep(self.conversation)

    def write(self, *, media: bool) -> None:
        """Write the conversation with what there is of the running turn, if that has changed."""
        with self._lock:
            added = self.conversation.turns is not self.before
            state = (self.running.question, self.running.answer.pieces, added)
            if self._written == state:
                return
            self.begun = True
            turns = self.conversation.turns if added else [*self.before, self.running.turn()]
            self.autosave.keep(self.conversation, turns, media=media)
            self._written = state if self.autosave.failure is None else None

    def stop(self) -> None:
        """The turn is over, one way or the other."""
        self._over = True
        self._due.set()
