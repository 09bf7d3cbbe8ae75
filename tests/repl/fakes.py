"""A model that answers what it is told to, for a chat whose words do not matter."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from mistralrs_cli.events import Done, Event, MediaReport, Started, TextDelta, Timing, Usage
from mistralrs_cli.media.video import VideoSampling
from mistralrs_cli.messages import Message, media_of
from mistralrs_cli.options import Sampling
from mistralrs_cli.repl import loading

Play = Callable[[Sequence[Message]], Iterator[Event | str]]


class FakeFamily:
    """Reads everything, in ten tokens each."""

    name = "Fake 1"
    modalities = frozenset({"image", "audio", "video"})
    sampling = VideoSampling()
    audio_rate = 16_000
    context_length = 1000

    def prepare(self, processor: Any, messages: Sequence[Message], template_inputs: object = None) -> Any:
        reports = tuple(MediaReport(medium.kind, medium.source, "as it is", 10) for medium in media_of(messages))
        return types.SimpleNamespace(prompt_tokens=7 + 10 * len(reports), media=reports)


class FakeEngine:
    """Plays one answer after the other, the last one again and again, and notes what it was asked."""

    def __init__(self, *answers: str | Exception | Play, context: int = 1000) -> None:
        self.answers = list(answers)
        self.asked: list[list[Message]] = []
        self.sampling: list[Sampling] = []
        self.closed = False
        self.loaded = types.SimpleNamespace(
            family=FakeFamily(),
            processor=None,
            sampling={},
            context_length=context,
            tokenizer=types.SimpleNamespace(encode=lambda text, add_special_tokens: text.split()),
        )

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> FakeStream:
        self.asked.append(list(messages))
        self.sampling.append(sampling)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return FakeStream(self.events(messages, answer))

    def events(self, messages: Sequence[Message], answer: str | Play) -> Iterator[Event]:
        prepared = self.loaded.family.prepare(None, messages)
        yield Started(prepared.prompt_tokens, prepared.media)
        count = 0
        for piece in answer(messages) if callable(answer) else answer.split(" "):
            count += 1
            yield TextDelta(piece + ("" if callable(answer) else " ")) if isinstance(piece, str) else piece
            if isinstance(piece, Done):
                return
        yield Done("stop", Usage(prepared.prompt_tokens, count), Timing(0.1, 0.2))

    def close(self) -> None:
        self.closed = True


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


def load_at_once(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None, failing: str | None = None
) -> None:
    """Put the engine, or a failure, where the chat would load a model; ``failing`` names the one model that fails."""

    class Loaded(loading.Loading):
        """Needs no thread's time."""

        def _run(self) -> None:
            fails = failure is not None and failing in (None, self.options.model_id)
            self._engine = None if fails else engine  # type: ignore[assignment]
            self.error = failure if fails else None
            self._done.set()
            self._ready()

    monkeypatch.setattr("mistralrs_cli.repl.model.Loading", Loaded)
