"""``mistralrs transcribe``: recordings, and the audio tracks of videos, as text or subtitles."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, TextIO

from typer import Argument, Option

from ..errors import EngineDown, EngineLost, MediaError, MistralrsError, OptionError, reason
from ..messages import MediaBytes, MediaRef
from ..options import AttachOptions, MediaPolicy, ModelOptions, Sampling
from ..speech.formats import FORMATS, Format, as_object, opening, written
from ..speech.transcribe import JOBS, SpeechModel, SpeechOptions, windows_of
from ..speech.transcribe import transcribe as segments_of
from ..speech.transcript import Transcript
from ..speech.windows import LONGEST
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from .elsewhere import Watching, elsewhere, kept
from .given import attach_options, model_options
from .job import Job
from .media import fetch_medium
from .oneshot import load
from .params.answer import AnswerParams
from .params.attach import AttachParams
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.model import ModelParams
from .params.option import OUTPUT, at_least, option_in, within
from .params.output import QuietErrors, VerboseLibraries

if TYPE_CHECKING:
    from .elsewhere import Elsewhere

PANEL = "Transcript"
option = option_in(PANEL)
SUFFIXES: dict[str, Format] = {".txt": "txt", ".srt": "srt", ".vtt": "vtt", ".json": "json"}
ENDLESS = float("inf")

Files = Annotated[list[str], Argument(metavar="FILE", help="Audio, or videos with audio.", hidden=True)]
FormatName = Annotated[
    str | None,
    option("--format", metavar="FORMAT", help="txt, srt, vtt, json or verbose_json; by the end of -o, else txt."),
]
Language = Annotated[
    str | None, option("--language", metavar="CODE", help="The language that is spoken, such as en. Unset: any.")
]
Translate = Annotated[bool, option("--translate", metavar="", help="Write it in English, whatever is spoken.")]
Words = Annotated[bool, option("--words", metavar="", help="In verbose_json, the times of words as well.")]
Prompt = Annotated[str | None, option("--prompt", metavar="TEXT", help="Names and words that may come.")]
WindowSeconds = Annotated[
    float,
    option(
        "--window",
        metavar="SEC",
        callback=within(1, 30),
        show_default=False,
        help="The longest stretch that the model gets at a time; 30 unless set.",
    ),
]
PauseSeconds = Annotated[
    float | None,
    option("--pause", metavar="SEC", callback=at_least(0.1), help="Cut at pauses this long; what suits the model."),
]
Jobs = Annotated[
    int,
    option(
        "--jobs", metavar="N", callback=at_least(1), show_default=False, help=f"Windows at a time; {JOBS} unless set."
    ),
]
Output = Annotated[
    str | None,
    Option(
        "-o", "--output", metavar="PATH", rich_help_panel=OUTPUT, help="A file, or a folder for several. Unset: stdout."
    ),
]


@takes_groups
def transcribe(
    *,
    files: Files,
    format: FormatName = None,
    language: Language = None,
    translate: Translate = False,
    prompt: Prompt = None,
    words: Words = False,
    window: WindowSeconds = LONGEST,
    pause: PauseSeconds = None,
    jobs: Jobs = JOBS,
    model: ModelParams,
    answer: Annotated[AnswerParams, Only("temperature", "seed")],
    hardware: Annotated[HardwareParams, Except("max_num_images", "max_image_length", "prefix_cache_n", "no_kv_cache")],
    engines: AttachParams,
    output: Output = None,
    quiet: QuietErrors = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Write down what is said in recordings of any length, also in the audio tracks of videos.

    mistralrs transcribe talk.mp3 -m mistralai/Voxtral-Mini-3B-2507
    mistralrs transcribe film.mkv -o film.srt -m google/gemma-4-E4B-it
    """
    chosen = format_of(format, output)
    if words and chosen != "verbose_json":
        raise OptionError(f"--words does nothing in {chosen}.", "Add --format verbose_json, or leave it out.")
    options = SpeechOptions(language, translate, prompt or None, window, pause, words, jobs)
    return Transcription(
        model=model_options(model, hardware),
        files=tuple(MediaRef("audio", name) for name in files),
        options=options,
        sampling=Sampling(temperature=answer.temperature or 0.0, seed=answer.seed),
        format=chosen,
        targets=targets_of(files, output, chosen),
        quiet=quiet,
        verbose=verbose,
        named=model.model_id is not None,
        attach=attach_options(engines),
    )


def format_of(format: str | None, output: str | None) -> Format:
    """The format that is named, else the one that the end of ``-o`` means, else text."""
    if format is None:
        return SUFFIXES.get(Path(output).suffix.lower(), "txt") if output is not None else "txt"
    found = next((each for each in FORMATS if each == format), None)
    if found is None:
        raise OptionError(f"There is no format {format!r}.", f"--format takes {', '.join(FORMATS)}.")
    return found


def targets_of(files: Sequence[str], output: str | None, format: Format) -> tuple[Path | None, ...]:
    """Where each file's transcript goes; ``None`` is stdout. Raises ``OptionError`` for one that cannot be written."""
    suffix = ".json" if format == "verbose_json" else f".{format}"
    if output is None:
        if len(files) > 1 and format in ("srt", "vtt"):
            raise OptionError(
                f"{len(files)} recordings make as many {format} files.", "Name a folder for them with -o."
            )
        return (None,) * len(files)
    path = Path(output).expanduser()
    if path.is_dir() or (len(files) > 1 and not path.exists()):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(f"{output} cannot be made: {reason(error)}.", "Name another folder with -o.") from error
        names = [path / (Path(name.rpartition("/")[2] or "transcript").stem + suffix) for name in files]
        if len(set(names)) < len(names):
            raise OptionError("Two recordings have the same name, and so would their transcripts.", "Rename one.")
        return tuple(apart(target, files) for target in names)
    if len(files) > 1:
        raise OptionError(f"-o names the file {output} for {len(files)} recordings.", "Name a folder with -o.")
    if not path.absolute().parent.is_dir():
        raise OptionError(f"There is no folder {path.parent}.", "Name a file in a folder that is there with -o.")
    return (apart(path, files),)


def apart(target: Path, files: Sequence[str]) -> Path:
    """The place of a transcript. Raises ``OptionError`` where a recording is there."""
    for name in files:
        recording = Path(name).expanduser()
        with suppress(OSError, ValueError):  # not there: reading it says so
            if target.exists() and recording.samefile(target):
                raise OptionError(f"-o would write over the recording {name}.", "Name another file.")
    return target


Readable = tuple[MediaRef | MediaBytes, Path | None]
"""A recording, and where its transcript goes."""


@dataclass(frozen=True)
class Hears:
    """A model that transcribes: what it is called, the rate it hears at, and whether it gives times of its own."""

    model: SpeechModel
    name: str
    rate: int
    times: bool


@dataclass(frozen=True)
class NotesOnce:
    """Shows what an engine in another process notes, except what it has said before."""

    console: Console
    said: set[str]

    def say(self, label: str) -> None:
        """Nothing: how far the recording is transcribed is shown."""

    def note(self, text: str) -> None:
        """As a note."""
        if text not in self.said:
            self.said.add(text)
            self.console.note(text)


@dataclass(frozen=True)
class Transcription:
    """A parsed ``transcribe``."""

    model: ModelOptions
    files: tuple[MediaRef, ...]
    options: SpeechOptions
    sampling: Sampling
    format: Format
    targets: tuple[Path | None, ...]
    quiet: bool = False
    verbose: bool = False
    policy: MediaPolicy = field(default_factory=lambda: MediaPolicy(seconds=ENDLESS))
    named: bool = True
    """Whether the user named the model."""
    attach: AttachOptions = field(default_factory=AttachOptions)

    def run(self, console: Console, models: Models) -> int:
        """Transcribe one file after the other; one that fails is reported, and the others go on."""
        from ..families import require

        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            attached = elsewhere(self.model, self.attach, console, models, named=self.named)
            for notice in models.check(self.model) if attached is None else attached.notices:
                console.note(notice)
            code, readable = self._readable(console)
            if not readable:
                return code
            if not self.named and self.attach.server is None:
                console.note("using the bundled demo model; choose another with -m MODEL")
            if attached is None and self.attach.keep is not None:
                attached = kept(self.model, self.attach, console, models, speech=True)
            left = deque(readable)
            if attached is not None:
                code = self._elsewhere(attached, left, code, console)
            if not left:
                return code
            with console.status(f"Opening {self.model.model_id}", animated=False):
                checkpoint = models.open(self.model, speech=True)
            require(checkpoint.family, checkpoint.name, ["audio"])
            with load(checkpoint, self.model, console, models) as engine:
                info = engine.info
                hears = Hears(engine, info.name, checkpoint.family.audio_rate, times=info.speech_times)
                return self._all(hears, left, code, console)

    def _elsewhere(self, engine: Elsewhere, left: deque[Readable], code: int, console: Console) -> int:
        """Have an engine in another process transcribe. Files stay ``left``, with a note, where it is lost."""
        from ..attach import AttachedEngine
        from ..attach.speech_server import SpeechServer
        from ..families import require

        with engine:
            if not isinstance(engine, AttachedEngine):
                server = SpeechServer(engine)
                hears = Hears(server, engine.name, server.audio_rate, times=server.speech_times)
                return self._all(hears, left, code, console)
            require(SimpleNamespace(modalities=engine.modalities), engine.name, ["audio"])
            try:
                with console.status(f"Loading {engine.name}", animated=not engine.downloads) as status:
                    info = engine.wait(Watching(console, status))
                engine.watch = NotesOnce(console, set(info.notes))
                engine.hold()
                hears = Hears(engine, engine.name, info.audio_rate, times=info.speech_times)
                return self._all(hears, left, code, console)
            except EngineLost as lost:
                console.note(f"{lost.message}; loading the model here")
                return code

    def _all(self, hears: Hears, left: deque[Readable], code: int, console: Console) -> int:
        """Transcribe what is left. Returns the exit code, by the first file that failed.

        Raises ``EngineLost`` for an engine that was lost before it wrote anything of the first that is still left.
        """
        while left:
            medium, target = left[0]
            try:
                self._transcribe(medium, target, hears, console)
            except EngineLost:
                raise
            except MistralrsError as error:
                failed = self._failed(error, console)
                code = code or failed
            left.popleft()
        return code

    def _readable(self, console: Console) -> tuple[int, list[Readable]]:
        """The files that hold audio, before any weights are read, and the exit code of the first that does not."""
        from ..media.audio_stream import open_audio_stream
        from ..media.sources import local_file

        found: list[Readable] = []
        code = 0
        for medium, target in zip(self.files, self.targets, strict=True):
            try:
                local = local_file(medium.source, self.policy) is not None
                held = medium if local else fetch_medium(medium, self.policy, console)
                with open_audio_stream(held, 16_000, self.policy):
                    found.append((held, target))
            except MediaError as error:
                failed = self._failed(error, console)
                code = code or failed
        return code, found

    def _failed(self, error: MistralrsError, console: Console) -> int:
        """Report what is wrong with one file of several; that of a single one ends the command."""
        if len(self.files) == 1:
            raise error
        console.error(error.message, error.hint)
        return error.exit_code

    def _transcribe(self, medium: MediaRef | MediaBytes, target: Path | None, hears: Hears, console: Console) -> None:
        from ..media.audio_stream import open_audio_stream
        from ..media.labels import label

        begun = time.perf_counter()
        transcript = Transcript(language=self.options.language)
        name = label(medium.source)
        cutting = self.options.cutting(model_times=hears.times)
        with (
            open_audio_stream(medium, hears.rate, self.policy) as audio,
            writer(target) as file,
            console.status(f"Transcribing {name}", int(audio.seconds) or None) as status,
        ):
            if audio.note:
                console.note(f"{name}: {audio.note}")

            head = f"==> {name} <==\n" if len(self.files) > 1 and target is None and self.format == "txt" else ""
            head += opening(self.format)

            def write(text: str) -> None:
                nonlocal head
                text, head = head + text, ""
                if file is not None:
                    file.write(text)
                    file.flush()
                elif text:
                    if console.stdout is not None and console.stdout.isatty():
                        status.stop()  # the text itself shows how far it is
                    console.answer(text)

            windows = windows_of(audio.blocks, hears.rate, cutting, transcript)
            given = (hears.model, windows, hears.rate, self.options, self.sampling, transcript)
            with closing(segments_of(*given)) as segments:
                try:
                    for number, segment in enumerate(segments, 1):
                        if self.format in ("txt", "srt", "vtt"):
                            write(written(segment, number, self.format))
                        status.at(int(segment.end))
                except KeyboardInterrupt:
                    status.stop()
                    until = transcript.segments[-1].end if transcript.segments else 0.0
                    console.note(f"stopped: what is written of {name} ends at {minutes(until)}")
                    raise
                except EngineLost as lost:
                    if not transcript.segments:
                        raise
                    ended = minutes(transcript.segments[-1].end)
                    message = f"{lost.message[0].upper()}{lost.message[1:]}: the transcript of {name} ends at {ended}."
                    raise EngineDown(message, "Run it again.") from lost
            write(self._json(transcript, medium.source) if self.format in ("json", "verbose_json") else "")
        self._remarks(transcript, name, hears.name, time.perf_counter() - begun, console)

    def _json(self, transcript: Transcript, source: str) -> str:
        import json

        verbose = self.format == "verbose_json"
        found = as_object(transcript, verbose=verbose, words=verbose and self.options.words)
        several = len(self.files) > 1
        return json.dumps({"file": source} | found if several else found, ensure_ascii=False) + "\n"

    def _remarks(self, transcript: Transcript, name: str, model: str, seconds: float, console: Console) -> None:
        """What a user should know of a transcript that is done."""
        if not transcript.segments:
            console.note(f"{name}: no speech in {minutes(transcript.seconds)} of audio")
            return
        if transcript.times == "window" and self.format in ("srt", "vtt", "verbose_json"):
            console.note(f"times are those of windows cut at pauses: {model} gives none of its own")
        if self.options.words and not any(segment.words for segment in transcript.segments):
            console.note(f"{model} gives no times of words")
        if cut := sum(segment.cut for segment in transcript.segments):
            console.note(f"{name}: the text of {cut} window{'s' if cut > 1 else ''} was too long and is cut")
        if console.watched or console.verbose:
            speed = transcript.seconds / seconds
            console.stats(f"{minutes(transcript.seconds)} of audio in {seconds:.1f} s, {speed:.1f} × real time")


@contextmanager
def writer(target: Path | None) -> Iterator[TextIO | None]:
    """The file of a transcript, which grows as segments come. Raises ``OptionError`` where it cannot be written."""
    if target is None:
        yield None
        return
    try:
        with target.open("w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise OptionError(f"{target} cannot be written: {reason(error)}.", "Name another place with -o.") from error


def minutes(seconds: float) -> str:
    """``1:05``, ``1:02:03``."""
    whole = int(seconds + 0.5)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
