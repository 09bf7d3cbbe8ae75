"""A model that answers what it is told to, and notes what it was asked."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mistralrs_cli.errors import UnsupportedModality
from mistralrs_cli.events import Done, Event, MediaReport, Started, TextDelta, Timing, Usage
from mistralrs_cli.media.video import VideoSampling
from mistralrs_cli.messages import Message, media_of
from mistralrs_cli.options import ModelOptions, Sampling


class FakeFamily:
    """Reads everything."""

    name = "Fake 1"
    modalities = frozenset({"image", "audio", "video"})
    sampling = VideoSampling()
    audio_rate = 16_000
    context_length = 1000

    def prepare(self, processor: Any, messages: Sequence[Message], template_inputs: dict[str, Any]) -> Any:
        reports = tuple(MediaReport(medium.kind, medium.source, "as it is", 10) for medium in media_of(messages))
        return types.SimpleNamespace(inputs={}, prompt_tokens=7 + 10 * len(reports), media=reports)


@dataclass
class FakeStack:
    """Stands in for loading and engine. ``answer`` holds deltas, or errors to raise in their place."""

    answer: list[str | BaseException] = field(default_factory=lambda: ["It is ", "red."])
    failure: BaseException | None = None
    reason: str = "stop"
    stop: str | None = None
    incomplete: bool = False
    family: FakeFamily = field(default_factory=FakeFamily)
    calls: list[str] = field(default_factory=list)
    options: ModelOptions | None = None
    messages: Sequence[Message] = ()
    sampling: Sampling | None = None

    def open_checkpoint(self, options: ModelOptions) -> Any:
        self.calls.append("open")
        self.options = options
        if self.failure is not None:
            raise self.failure
        return types.SimpleNamespace(name=options.model_id, family=self.family, repository=None, config={}, slice=None)

    def require(self, family: FakeFamily, name: str, kinds: Sequence[str], most_images: int | None) -> None:
        for kind in kinds:
            if kind not in family.modalities:
                raise UnsupportedModality(f"{name} does not read {kind}.", "Try -m other")

    def load(self, checkpoint: Any, options: ModelOptions, progress: Any = None, processor: Any = None) -> Any:
        self.calls.append("load")
        print("a library chats on stdout")
        return types.SimpleNamespace(name=checkpoint.name, family=checkpoint.family, notes=())

    def engine(self, loaded: Any, *, max_rows: int, prefixes: int = 0) -> FakeEngine:
        return FakeEngine(self)

    @property
    def media(self) -> list[tuple[str, str]]:
        """Kind and source of all media asked about, in order."""
        return [(medium.kind, medium.source) for medium in media_of(self.messages)]

    @property
    def text(self) -> str:
        """The words asked."""
        return self.messages[-1].text


class FakeEngine:
    """Plays the answer of a ``FakeStack``."""

    def __init__(self, stack: FakeStack) -> None:
        self.stack = stack
        self.loaded = types.SimpleNamespace(context_length=stack.family.context_length)

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> FakeStream:
        self.stack.messages, self.stack.sampling = messages, sampling
        return FakeStream(self.events())

    def events(self) -> Iterator[Event]:
        reports = self.stack.family.prepare(None, self.stack.messages, {}).media
        yield Started(7, reports)
        for delta in self.stack.answer:
            if isinstance(delta, BaseException):
                raise delta
            yield TextDelta(delta)
        usage = Usage(prompt_tokens=40, completion_tokens=21, image_tokens=10)
        stack = self.stack
        yield Done(stack.reason, usage, Timing(0.5, 1.5, 0.4), stack.stop, stack.incomplete)  # type: ignore[arg-type]

    def __enter__(self) -> FakeEngine:
        return self

    def close(self) -> None:
        self.stack.calls.append("close")

    def __exit__(self, *error: object) -> None:
        self.close()


class FakeStream:
    """Events that can be closed by leaving a ``with`` block."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events

    def __iter__(self) -> Iterator[Event]:
        return self.events

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def install(stack: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stack where the command line imports loading, families and engine from; torch stays out."""
    loading = {
        "check": lambda options: (),
        "open_checkpoint": stack.open_checkpoint,
        "load_processor": lambda checkpoint, options: stack.calls.append("processor"),
        "load": stack.load,
        "plan": lambda checkpoint, options: None,
    }
    stubs: dict[str, dict[str, Any]] = {
        "loading": loading,
        "families": {"require": stack.require},
        "engine": {"Engine": stack.engine},
        "engine.template_inputs": {"check_template_inputs": lambda loaded, sampling: None},
    }
    for name, members in stubs.items():
        module = types.ModuleType(f"mistralrs_cli.{name}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)


class Stdin(io.TextIOWrapper):
    """A stdin with given bytes, on a terminal or in a pipe."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal
