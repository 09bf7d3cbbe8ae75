"""Speech transcribed by a server: windows sent to ``/v1/audio/transcriptions``, texts and times that come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..decoded import DecodedAudio
from ..errors import EngineDown, MistralrsError, OptionError
from ..events import Done, Event, Started, TextDelta, TimedText, Timing, Usage
from ..messages import Message, decoded_media
from ..options import SPEECH_TASK, Sampling, SpeechTask
from .engine import AttachedEngine

if TYPE_CHECKING:
    from .server import ServerEngine


class SpeechServer:
    """A server as a model that transcribes windows of speech; ``times`` says whether it gives any, as far as is known.

    Windows are cut as for a model that has times of its own: a server may cut them once more.
    """

    audio_rate = 16_000
    speech_times = True

    def __init__(self, engine: ServerEngine) -> None:
        self.engine = engine
        self.times = True

    transcription = staticmethod(AttachedEngine.transcription)

    @property
    def knows_languages(self) -> bool:
        """Whether a translation may name the language that is spoken: OpenAI's interface has no such field."""
        return self.engine.ours

    def stream(self, messages: Sequence[Message], sampling: Sampling | None = None) -> WindowRequest:
        """Have a window transcribed, as ``transcription`` has made it."""
        sampling = sampling or Sampling()
        (medium,) = decoded_media(messages)
        assert isinstance(medium.data, DecodedAudio)
        return WindowRequest(self, medium.data, sampling.template_kwargs[SPEECH_TASK], sampling)


class WindowRequest(Iterator[Event]):
    """The events of one window, which a thread of its own asks for. Closing it drops them."""

    def __init__(self, server: SpeechServer, audio: DecodedAudio, task: SpeechTask, sampling: Sampling) -> None:
        self._server = server
        self._audio = audio
        self._task = task
        self._sampling = sampling
        self._outbox: SimpleQueue[Event | BaseException] = SimpleQueue()
        self._ended = False
        threading.Thread(target=self._run, name="mistralrs-window", daemon=True).start()

    def __next__(self) -> Event:
        """Wait for the next event. Raises what the server says is wrong."""
        if self._ended:
            raise StopIteration
        item = self._outbox.get()
        self._ended = not isinstance(item, (Started, TextDelta, TimedText))
        if isinstance(item, BaseException):
            raise item
        return item

    def _run(self) -> None:
        try:
            for event in heard(self._ask()):
                self._outbox.put(event)
        except MistralrsError as error:
            self._outbox.put(error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            failure = EngineDown(f"What {self._server.engine.address} answers is no transcript.", "Check the address.")
            failure.__cause__ = error
            self._outbox.put(failure)

    def _ask(self) -> dict[str, Any]:
        """The transcript with times, or without where the server has none."""
        if self._server.times:
            try:
                return self._sent("verbose_json")
            except OptionError as error:
                if "response_format" not in error.message and "verbose_json" not in error.message:
                    raise
                self._server.times = False
        return self._sent("json")

    def _sent(self, form: str) -> dict[str, Any]:
        task, sampling = self._task, self._sampling
        fields: dict[str, Any] = {
            "model": self._server.engine.name,
            "response_format": form,
            "temperature": str(sampling.temperature or 0.0),
            "language": task.language if not task.translate or self._server.knows_languages else None,
            "prompt": task.prompt,
            "seed": sampling.seed,
        }
        given: dict[str, Any] = {name: str(value) for name, value in fields.items() if value is not None}
        if form == "verbose_json" and task.words:
            given["timestamp_granularities[]"] = ["segment", "word"]
        path = "/v1/audio/translations" if task.translate else "/v1/audio/transcriptions"
        return self._server.engine.post_form(path, given, ("window.wav", self._audio.wav(), "audio/wav"))

    def close(self) -> None:
        """Read no more of it."""
        self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def heard(found: Mapping[str, Any]) -> Iterator[Event]:
    """A transcript in OpenAI's JSON as events."""
    yield Started(0)
    yield TextDelta(str(found["text"]))
    words = [TimedText(str(each["word"]), each["start"], each["end"]) for each in found.get("words") or ()]
    segments = found.get("segments") or ()
    for number, each in enumerate(segments):
        until = float("inf") if number == len(segments) - 1 else each["end"]
        inside = [word for word in words if (word.start + word.end) / 2 <= until]
        words = words[len(inside) :]
        yield TimedText(
            str(each["text"]),
            float(each["start"]),
            float(each["end"]),
            tuple(inside),
            found.get("language") or None,
            estimated=found.get("times") == "window",
        )
    yield Done("stop", Usage(), Timing())
