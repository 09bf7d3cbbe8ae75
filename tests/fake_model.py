"""A model that answers as it is told, and keeps what it was asked. Faces take it in place of ``Models``."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from mistralrs_cli.events import Done, Event, MediaReport, Reply, Started, TextDelta, Timing, Usage, collect
from mistralrs_cli.media.video import VideoSampling
from mistralrs_cli.messages import Media, Message, Modality, Text, media_of
from mistralrs_cli.options import AttachOptions, ModelOptions, Sampling
from mistralrs_cli.start import Models, require_kind

Play = Callable[[Sequence[Message]], Iterator[Event | str]]
Answer = str | Exception | Play | Sequence[str | BaseException]
"""A text, given out word by word; an error that ``stream`` raises; a function; or pieces, errors raised among them."""


class FakeFamily:
    """Reads everything, in ten tokens each, and points as Qwen3-VL does."""

    name = "Fake 1"
    modalities: frozenset[Modality] = frozenset({"image", "audio", "video"})
    sampling = VideoSampling()
    audio_rate = 16_000
    transcribes = False
    context_length = 1000

    def prepare(self, processor: Any, messages: Sequence[Message], template_inputs: object = None) -> Any:
        """No tensors, but the numbers of tokens."""
        from mistralrs_cli.families.coordinates import with_coordinates

        reports = tuple(MediaReport(medium.kind, medium.source, "as it is", 10) for medium in media_of(messages))
        reports = with_coordinates({"model_type": "qwen3_vl"}, messages, reports, {})
        return types.SimpleNamespace(inputs={}, prompt_tokens=7 + 10 * len(reports), media=reports)


class FakeModels(Models):
    """Starts a ``FakeEngine``. With ``family`` any name is a model of it; without, real checkpoints are opened.

    ``answers`` are given one after the other, the last one again and again; ``done`` ends each of them, by default
    with the tokens it had. ``open_failure`` and ``failure`` are raised where a model would be opened or loaded,
    the second only for the model named ``failing``, if one is.
    """

    whole: tuple[str, ...] = ("open", "load", "close")
    """What is done for one answer."""

    def __init__(
        self,
        *answers: Answer,
        family: FakeFamily | None = None,
        context: int = 1000,
        done: Done | None = None,
        failure: Exception | None = None,
        failing: str | None = None,
    ) -> None:
        self.answers = list(answers)
        self.family: Any = family
        self.context = context
        self.done = done
        self.open_failure: BaseException | None = None
        self.failure = failure
        self.failing = failing
        self.calls: list[str] = []
        self.options: ModelOptions | None = None
        self.asked: list[list[Message]] = []
        self.samplings: list[Sampling] = []

    def end(self, **changes: Any) -> None:
        """Let answers end otherwise."""
        self.done = replace(self.done or Done("stop", Usage(), Timing()), **changes)

    @property
    def messages(self) -> list[Message]:
        """The last conversation that was given."""
        return self.asked[-1]

    @property
    def media(self) -> list[tuple[str, str]]:
        """Kind and source of all media asked about, in order."""
        return [(medium.kind, medium.source) for medium in media_of(self.messages)]

    @property
    def text(self) -> str:
        """The words asked."""
        return self.messages[-1].text

    @property
    def sampling(self) -> Sampling:
        """How the last answer was to be sampled."""
        return self.samplings[-1]

    def check(self, options: ModelOptions) -> tuple[str, ...]:
        """A fake checkpoint takes all options."""
        return super().check(options) if self.family is None else ()

    def attach(self, options: ModelOptions, how: AttachOptions, note: Callable[[str], None] = lambda text: None) -> Any:
        """None: no engine runs."""

    def open(self, options: ModelOptions, kind: str | None = None, *, speech: bool = False) -> Any:
        """A checkpoint."""
        self.calls.append("open")
        self.options = options
        if self.open_failure is not None:
            raise self.open_failure
        if self.family is None:
            return super().open(options, kind, speech=speech)
        found: Any = types.SimpleNamespace(name=options.model_id, family=self.family, repository=None, slice=None)
        require_kind(found, kind)
        return found

    def processor(self, checkpoint: Any, options: ModelOptions, sampling: Sampling | None = None) -> Any:
        """None; a fake template reads everything."""
        if self.family is None:
            return super().processor(checkpoint, options, sampling)
        self.calls.append("processor")
        return None

    def plan(self, checkpoint: Any, options: ModelOptions) -> Any:
        """None: there are no weights."""

    def start(self, checkpoint: Any, options: ModelOptions, **given: Any) -> Any:
        """An engine, after saying something as a library might."""
        self.calls.append("load")
        print("a library chats on stdout")
        if self.failure is not None and self.failing in (None, options.model_id):
            raise self.failure
        return FakeEngine(self, checkpoint.name)


class FakeEngine:
    """Plays the answers of ``FakeModels``."""

    def __init__(self, models: FakeModels, name: str) -> None:
        self.models = models
        self.family = models.family or FakeFamily()
        # a namespace, for the engine's own values come with torch, which takes a process seconds to import
        self.info = types.SimpleNamespace(name=name, context_length=models.context, notes=(), speech_times=False)

    def transcription(
        self,
        audio: Media,
        language: str | None = None,
        *,
        translate: bool = False,
        prompt: str | None = None,
        words: bool = False,
    ) -> Any:
        """A conversation with what was asked for in words."""
        said = f"language={language} translate={translate} prompt={prompt}"
        return [Message("user", (audio, Text(said)))], {}

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> FakeStream:
        """The next answer."""
        self.models.asked.append(list(messages))
        self.models.samplings.append(sampling)
        answer = self.models.answers[0] if len(self.models.answers) == 1 else self.models.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return FakeStream(self.events(messages, answer))

    def events(
        self, messages: Sequence[Message], answer: str | Play | Sequence[str | BaseException]
    ) -> Iterator[Event]:
        """An answer as events."""
        prepared = self.family.prepare(None, messages)
        yield Started(prepared.prompt_tokens, prepared.media)
        count = 0
        for piece in pieces(messages, answer):
            count += 1
            if isinstance(piece, BaseException):
                raise piece
            yield TextDelta(piece) if isinstance(piece, str) else piece
            if isinstance(piece, Done):
                return
        yield self.models.done or Done("stop", Usage(prepared.prompt_tokens, count), Timing(0.1, 0.2))

    def generate(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """A whole answer."""
        return collect(self.stream(messages, sampling))

    def report(self, messages: Sequence[Message]) -> Any:
        """What a prompt would take."""
        return self.family.prepare(None, messages)

    def count(self, text: str) -> int:
        """A token a word."""
        return len(text.split())

    def sampling_params(self, sampling: Sampling) -> Any:
        """The defaults of a checkpoint that has none of its own."""
        from mistralrs_cli.engine.sampling.params import resolve

        return resolve(sampling, {})

    def close(self) -> None:
        """Note it."""
        self.models.calls.append("close")

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def pieces(
    messages: Sequence[Message], answer: str | Play | Sequence[str | BaseException]
) -> Iterator[Event | str | BaseException]:
    """What an answer is made of."""
    if isinstance(answer, str):
        yield from (f"{word} " for word in answer.split(" "))
    else:
        yield from answer(messages) if callable(answer) else answer


class FakeStream:
    """Events that can be closed, also by leaving a ``with`` block."""

    closed = False

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events

    def __iter__(self) -> Iterator[Event]:
        return self.events

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *error: object) -> None:
        return None
