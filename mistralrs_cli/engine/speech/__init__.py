"""Speech models behind the seam of ``Engine``: windows in, text and times out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, NoReturn, Self

import torch

from ...decoded import DecodedAudio
from ...errors import EngineDown, GenerationError, MistralrsError, OptionError, UnsupportedModel
from ...events import Done, Reply, Started, TextDelta, Timing, Usage, collect
from ...loading import LoadedModel
from ...media.video import VideoSampling
from ...messages import Media, Message, decoded_media
from ...options import SPEECH_TASK, Sampling, SpeechTask, Tools
from ..info import EngineStats, ModelInfo
from ..kv.budget import media_bytes
from ..runner import widened_linear
from .canary import CanaryRunner
from .moonshine import MoonshineRunner
from .parakeet import ParakeetRunner
from .runner import Heard, SpeechRunner
from .stream import WindowStream
from .whisper import WhisperRunner

BATCH = 16
"""Windows that are decoded together at most."""
RUNNERS: dict[str, Callable[[LoadedModel], SpeechRunner]] = {
    "canary": CanaryRunner,
    "moonshine": MoonshineRunner,
    "moonshine_streaming": MoonshineRunner,
    "parakeet_ctc": ParakeetRunner,
    "parakeet_rnnt": ParakeetRunner,
    "parakeet_tdt": ParakeetRunner,
    "whisper": WhisperRunner,
}
"""What runs a model, by its ``model_type``."""


class SpeechEngine:
    """A speech model that transcribes any number of windows. Threads may share it.

    One thread owns the model. Windows that wait and have the same task are decoded together; in float32 each has the
    text that it has alone.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        max_rows: int = BATCH,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.loaded = loaded
        widened_linear.use_for(loaded.model)
        self.runner = RUNNERS[loaded.family.config["model_type"]](loaded)
        self.media_bytes = media_bytes()
        self._most = max(1, min(max_rows, BATCH))
        self._waiting: deque[WindowStream] = deque()
        self._running: list[WindowStream] = []
        self._changed = threading.Condition()
        self._closed = False
        self._failure: EngineDown | None = None
        self._on_failure = on_failure
        self._thread = threading.Thread(target=self._work, name="mistralrs-speech", daemon=True)
        self._thread.start()

    def transcription(
        self,
        audio: Media,
        language: str | None = None,
        *,
        translate: bool = False,
        prompt: str | None = None,
        words: bool = False,
    ) -> tuple[list[Message], dict[str, Any]]:
        """A window and its task. Raises ``OptionError`` for a language or task that the checkpoint does not know."""
        task = self.runner.check(SpeechTask(language, translate, prompt, words))
        return [Message("user", (audio,))], {SPEECH_TASK: task}

    def stream(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> WindowStream:
        """Transcribe a window, as ``transcription`` has made it. Raises ``UnsupportedModel`` for anything else.

        Raises ``OptionError`` for a temperature where the model draws nothing.
        """
        sampling = sampling or Sampling()
        task = sampling.template_kwargs.get(SPEECH_TASK)
        media = decoded_media(messages)
        if not isinstance(task, SpeechTask) or len(media) != 1 or not isinstance(media[0].data, DecodedAudio):
            self._refuse()
        audio = media[0].data
        temperature = sampling.temperature or 0.0
        if temperature and not self.runner.draws:
            raise OptionError(
                f"{self.loaded.name} draws no tokens, so that a temperature does nothing.",
                "Leave it out.",
                "temperature",
            )
        seed = sampling.seed if temperature else None
        task = replace(task, most=sampling.max_tokens, temperature=temperature, seed=seed)
        stream = WindowStream(audio, task, sampling)
        stream.post(Started(0))
        with self._changed:
            if self._failure is not None or self._closed:
                raise self._failure or EngineDown("The engine is closed.", "Start it again.")
            self._waiting.append(stream)
            self._changed.notify()
        return stream

    def generate(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> Reply:
        """The whole text of a window: a fold over ``stream``."""
        with self.stream(messages, sampling, tools) as events:
            return collect(events)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                task = self._waiting[0].task
                batch = [each for each in self._waiting if each.task == task][: 1 if task.temperature else self._most]
                for each in batch:
                    self._waiting.remove(each)
                self._running = batch = [each for each in batch if not each.cancelled]
            if batch:
                self._transcribe(batch, task)
            with self._changed:
                self._running = []

    def _transcribe(self, batch: list[WindowStream], task: SpeechTask) -> None:
        """Run a batch; where memory is short, its halves."""
        try:
            if task.temperature:
                with torch.random.fork_rng():
                    if task.seed is not None:
                        torch.manual_seed(task.seed)
                    found = self.runner.run(batch, task)
            else:
                found = self.runner.run(batch, task)
        except (torch.OutOfMemoryError, MemoryError) as error:
            if len(batch) > 1:
                half = len(batch) // 2
                self._transcribe(batch[:half], task)
                self._transcribe(batch[half:], task)
                return
            self._fail(batch, EngineDown("A window of audio does not fit in memory.", "Use --cpu."), error)
            return
        except MistralrsError as error:
            self._fail(batch, error, None)
            return
        except Exception as error:
            if len(batch) > 1:  # a failure fails alone
                for each in batch:
                    self._transcribe([each], task)
                return
            if self._on_failure is not None:
                self._on_failure(error)
            failure = GenerationError(f"The model failed: {type(error).__name__}: {error}", "Report it.")
            self._fail(batch, failure, error)
            return
        for stream, heard in zip(batch, found, strict=True):
            self._finish(stream, heard)

    def _finish(self, stream: WindowStream, heard: Heard) -> None:
        if heard.text:
            stream.post(TextDelta(heard.text))
        for part in heard.parts:
            stream.post(part)
        reason = "canceled" if stream.cancelled else "stop" if heard.complete else "length"
        stream.post(Done(reason, Usage(completion_tokens=heard.tokens), Timing()))  # type: ignore[arg-type]

    def _fail(self, batch: Sequence[WindowStream], error: MistralrsError, cause: BaseException | None) -> None:
        error.__cause__ = cause
        for stream in batch:
            stream.post(error)

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        loaded = self.loaded
        return ModelInfo(
            name=loaded.name,
            family=loaded.family.name,
            modalities=("audio",),
            context_length=loaded.context_length,
            max_images=None,
            audio_rate=int(loaded.processor.feature_extractor.sampling_rate),
            video_sampling=VideoSampling(),
            can_think=False,
            vocabulary=int(loaded.model.config.vocab_size),
            device=str(loaded.device),
            dtype=str(loaded.model.dtype).removeprefix("torch."),
            notes=loaded.notes,
            speech_times=self.loaded.family.speech_times,
        )

    @property
    def stats(self) -> EngineStats:
        """What the engine is doing now."""
        with self._changed:
            running, waiting = len(self._running), len(self._waiting)
        return EngineStats(running, waiting, 0, 0, 0, 0, 0, 0, self._failure)

    def unread(self, sampling: Sampling) -> list[str]:
        """All template inputs: there is no chat template."""
        return list(sampling.template_kwargs)

    def check_length(self, *texts: str) -> None:
        """No text is refused for its length: none is taken."""

    def continue_text(self, prompt: str | Sequence[int], sampling: Sampling | None = None) -> WindowStream:
        """Raises ``UnsupportedModel``."""
        self._refuse()

    def prompt_tokens(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> list[int]:
        """Raises ``UnsupportedModel``."""
        self._refuse()

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """A text's token ids."""
        ids: list[int] = self.loaded.tokenizer(text, add_special_tokens=special)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of token ids."""
        text: str = self.loaded.tokenizer.decode(list(ids), skip_special_tokens=not special)
        return text

    def token_bytes(self, token: int) -> bytes:
        """One token as text, encoded."""
        return self.decode([token], special=True).encode()

    def _refuse(self) -> NoReturn:
        raise UnsupportedModel(
            f"{self.loaded.name} is a model that writes down speech, and answers no questions.",
            "Send audio to /v1/audio/transcriptions, or run: mistralrs transcribe FILE",
        )

    def close(self) -> None:
        """End the thread; unfinished windows fail."""
        with self._changed:
            self._closed = True
            left = [*self._running, *self._waiting]
            self._waiting.clear()
            self._changed.notify()
        for stream in left:
            stream.post(EngineDown("The engine was closed.", "Start it again."))
            stream.cancelled = True
        self._thread.join(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
