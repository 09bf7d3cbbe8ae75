"""An engine in another process, as faces use the one in their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import h11

from ..errors import EngineDown, EngineLost, MistralrsError, ShuttingDown
from ..events import Done, Event, Reply, Started, collect
from ..messages import Media, Message
from ..options import SPEECH_TASK, MediaPolicy, ModelOptions, Sampling, SpeechTask, Tools
from .codec import error_of, from_plain, packed, to_plain
from .connection import Connection, NotOurs, Refused, Silent
from .record import EngineRecord


class Watch(Protocol):
    """Called with what an engine does before an answer begins."""

    def say(self, label: str) -> None:
        """What goes on now."""

    def note(self, text: str) -> None:
        """Something worth knowing."""


class Unwatched:
    """Watches nothing."""

    def say(self, label: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class AttachedEngine:
    """An engine in another process of this user. Its methods are those of ``Engine`` that faces use.

    Media of messages may be decoded or not: the engine decodes what is not, by ``policy``. ``name`` is what the user
    calls the model. ``keep`` are the idle seconds it should stay from now on, where that was said. ``holding`` is
    closed with it: an engine that is still loading ends with the command that started it. ``watch`` gets what
    nothing else watches.
    """

    def __init__(
        self,
        record: EngineRecord,
        options: ModelOptions,
        *,
        keep: float | None = None,
        holding: Callable[[], None] | None = None,
    ) -> None:
        self.record = record
        self.name = options.model_id
        self.policy = MediaPolicy()
        self.keep = keep
        self.watch: Watch = Unwatched()
        self._holding = holding
        self._ready: Any = None
        self._kept: Connection | None = None
        self._gone = False

    @property
    def notices(self) -> tuple[str, ...]:
        """What its options led to."""
        return tuple(self.record.notices)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the model reads beside text."""
        return tuple(self.record.modalities)

    @property
    def downloads(self) -> bool:
        """Whether its weights are still on the hub."""
        return self.record.downloads

    @property
    def who(self) -> str:
        """The engine, for messages."""
        return f"the engine of {self.name} (process {self.record.process})"

    def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        tools: Tools | None = None,
        *,
        watch: Watch | None = None,
    ) -> AttachedStream:
        """Answer a conversation, as ``Engine.stream`` does, and raise what is wrong with it.

        Raises ``EngineLost`` for an engine that has ended or is stuck.
        """
        asked = {"messages": tuple(messages), "sampling": sampling or Sampling(), "tools": tools}
        body = packed(asked | {"policy": self.policy, "keep": self.keep})
        connection = self._connect()
        found = AttachedStream(self, connection, watch or self.watch)
        try:
            connection.send("POST", "/engine/stream", body)
            found.begin()
        except BaseException as error:
            connection.close()
            if (lost := self._lost(error)) is error:
                raise
            raise lost from error
        self._release()
        return found

    def generate(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> Reply:
        """A whole answer."""
        with self.stream(messages, sampling, tools) as events:
            return collect(events)

    @staticmethod
    def transcription(
        audio: Media,
        language: str | None = None,
        *,
        translate: bool = False,
        prompt: str | None = None,
        words: bool = False,
    ) -> tuple[list[Message], dict[str, Any]]:
        """A window of speech for ``stream``, and its task: how the model is asked, the engine knows."""
        return [Message("user", (audio,))], {SPEECH_TASK: SpeechTask(language, translate, prompt, words)}

    @property
    def info(self) -> Any:
        """What is known of the model, as ``Engine.info`` says it; waits until it is loaded."""
        return self.wait()

    def wait(self, watch: Watch | None = None) -> Any:
        """Wait until the model is loaded, and return ``info``."""
        if self._ready is None:
            if not any(
                "ready" in line for line in self._asked("/engine/ready", {"keep": self.keep}, watch or Unwatched())
            ):
                raise EngineLost(f"{self.who} has ended")
            self._release()
        return self._ready

    def hold(self) -> None:
        """Have it count as in use until this is closed: a chat may pause for longer than the engine stays."""
        if self._kept is None:
            connection = self._connect()
            connection.send("POST", "/engine/hold", packed({}))
            self._kept = connection

    @property
    def lost(self) -> bool:
        """Whether it has ended, or did not respond when it was asked; known at once while it is held."""
        if self._kept is not None and not self._gone:
            self._gone = not self._kept.open
        return self._gone

    def report(self, messages: Sequence[Message], sampling: Sampling | None = None) -> Any:
        """What ``Engine.report`` says."""
        return self._call("report", tuple(messages), sampling)

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        found: int = self._call("count", text)
        return found

    def sampling_params(self, sampling: Sampling) -> Any:
        """What ``Engine.sampling_params`` says."""
        return self._call("sampling_params", sampling)

    def lines(self, connection: Connection, watch: Watch, *, patient: bool) -> Iterator[Mapping[str, Any]]:
        """What the engine says. ``watch`` is called with it, and an error it says is raised.

        A ``patient`` reader goes on where nothing comes, and notes it once.
        """
        noted = False
        while True:
            try:
                for line in connection.events():
                    noted = False
                    self._take(line, watch)
                    yield line
                return
            except Silent:
                if not patient:
                    raise
                if not noted:
                    watch.note(f"{self.who} does not respond; waiting for it, Ctrl-C stops that")
                noted = True

    def _take(self, line: Mapping[str, Any], watch: Watch) -> None:
        if "error" in line:
            raise error_of(line["error"], (self.record.model, self.name))
        if "say" in line:
            watch.say(line["say"].replace(self.record.model, self.name))
        for text in line.get("notes", ()):
            watch.note(text)
        if "ready" in line:
            self._ready = from_plain(line["ready"])

    def _call(self, name: str, *given: Any) -> Any:
        self.wait()
        for line in self._asked("/engine/call", {"name": name, "given": given}, Unwatched()):
            if "result" in line:
                return from_plain(line["result"])
        raise EngineLost(f"{self.who} has ended")

    def _asked(self, path: str, asked: Mapping[str, Any], watch: Watch) -> Iterator[Mapping[str, Any]]:
        """Ask something, and return what the engine says. Raises ``EngineLost``."""
        connection = self._connect()
        try:
            connection.send("POST", path, packed(asked))
            yield from self.lines(connection, watch, patient=False)
        except (OSError, Silent, Refused, ShuttingDown, h11.RemoteProtocolError) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def _connect(self) -> Connection:
        try:
            return Connection(self.record.socket)
        except (OSError, NotOurs) as error:
            raise self._lost(error) from error

    def _lost(self, error: BaseException) -> BaseException:
        """What an error means where nothing of an answer has come."""
        match error:
            case Silent() | TimeoutError():
                said = "does not respond"
            case OSError() | h11.RemoteProtocolError() | NotOurs():
                said = "has ended"
            case ShuttingDown():
                said = "is ending"
            case Refused():
                return EngineLost(f"{self.who} does not take it: {str(error).rstrip('.')}")
            case _:  # Ctrl-C as well, which says nothing of the engine
                return error
        self._gone = True
        return EngineLost(f"{self.who} {said}")

    def _release(self) -> None:
        """The model is loaded: the engine needs this process no more."""
        if self._holding is not None:
            self._holding()
            self._holding = None

    def close(self) -> None:
        """Leave it; an engine that this process started and that is still loading ends."""
        self._release()
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AttachedStream(Iterator[Event]):
    """The events of one answer. Closing it, or leaving its ``with`` block, cancels the request."""

    def __init__(self, engine: AttachedEngine, connection: Connection, watch: Watch) -> None:
        self._engine = engine
        self._connection = connection
        self._watch = watch
        self._before = engine.lines(connection, watch, patient=False)
        self._after = engine.lines(connection, watch, patient=True)
        self._started: Event | None = None
        self._ended = False

    def begin(self) -> None:
        """Wait until the engine has taken the request. Raises what is wrong with it, and ``Silent``."""
        for line in self._before:
            if "event" in line:
                self._started = from_plain(line["event"])
                return
        raise EngineLost(f"{self._engine.who} has ended")

    def __next__(self) -> Event:
        """Wait for the next event. What goes wrong in the engine is raised here."""
        if self._started is not None:
            event, self._started = self._started, None
            return event
        if self._ended:
            raise StopIteration
        try:
            for line in self._after:
                if "event" in line:
                    found: Event = from_plain(line["event"])
                    self._ended = isinstance(found, Done)
                    return found
        except MistralrsError:
            self._ended = True
            raise
        except (OSError, Refused, h11.RemoteProtocolError) as error:
            if self._ended:
                raise StopIteration from error
            self._ended = True
            raise self._broken() from error
        if self._ended:
            raise StopIteration
        self._ended = True
        raise self._broken()

    def _broken(self) -> EngineDown:
        who = self._engine.who
        return EngineDown(f"{who[0].upper()}{who[1:]} has ended, and the answer with it.", "Ask again.")

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt; before the first event is taken."""
        return self._started.prompt_tokens if isinstance(self._started, Started) else 0

    def close(self) -> None:
        """Stop generating."""
        self._ended = True
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def keep_words(keep: float | None) -> str:
    """How long an engine stays: ``10 min``."""
    if keep is None:
        return "until it is stopped"
    hours, minutes = keep / 3600, keep / 60
    return f"{hours:g} h" if hours >= 1 else f"{minutes:g} min" if minutes >= 1 else f"{keep:g} s"


__all__ = ["AttachedEngine", "AttachedStream", "EngineLost", "Watch", "keep_words", "to_plain"]
