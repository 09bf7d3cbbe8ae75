"""``mistralrs transcribe``: recordings, and the audio tracks of videos, as text or subtitles."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from typer import Argument, Option

from ..errors import MediaError, MistralrsError, OptionError, reason
from ..messages import MediaBytes, MediaRef
from ..options import MediaPolicy, ModelOptions, Sampling
from ..speech.formats import FORMATS, Format, as_object, opening, written
from ..speech.transcribe import JOBS, SpeechOptions, windows_of
from ..speech.transcribe import transcribe as segments_of
from ..speech.transcript import Transcript
from ..speech.windows import LONGEST
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from .given import model_options
from .job import Job
from .media import fetch_medium
from .oneshot import load
from .params.answer import AnswerParams
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.model import ModelParams
from .params.option import OUTPUT, at_least, option_in, within
from .params.output import QuietErrors, VerboseLibraries

if TYPE_CHECKING:
    from ..engine import Engine

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

    def run(self, console: Console, models: Models) -> int:
        """Transcribe one file after the other; one that fails is reported, and the others go on."""
        from ..families import require

        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for notice in models.check(self.model):
                console.note(notice)
            code, readable = self._readable(console)
            if not readable:
                return code
            if not self.named:
                console.note("using the bundled demo model; choose another with -m MODEL")
            with console.status(f"Opening {self.model.model_id}", animated=False):
                checkpoint = models.open(self.model, speech=True)
            require(checkpoint.family, checkpoint.name, ["audio"])
            with load(checkpoint, self.model, console, models) as engine:
                for medium, target in readable:
                    try:
                        self._transcribe(medium, target, engine, checkpoint.family.audio_rate, console)
                    except MistralrsError as error:
                        failed = self._failed(error, console)
                        code = code or failed
        return code

    def _readable(self, console: Console) -> tuple[int, list[tuple[MediaRef | MediaBytes, Path | None]]]:
        """The files that hold audio, before any weights are read, and the exit code of the first that does not."""
        from ..media.audio_stream import open_audio_stream
        from ..media.sources import local_file

        found: list[tuple[MediaRef | MediaBytes, Path | None]] = []
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

    def _transcribe(
        self, medium: MediaRef | MediaBytes, target: Path | None, engine: Engine, rate: int, console: Console
    ) -> None:
        from ..media.audio_stream import open_audio_stream
        from ..media.labels import label

        begun = time.perf_counter()
        transcript = Transcript(language=self.options.language)
        name = label(medium.source)
        cutting = self.options.cutting(model_times=engine.info.speech_times)
        with (
            open_audio_stream(medium, rate, self.policy) as audio,
            writer(target) as file,
            console.status(f"Transcribing {name}", int(audio.seconds) or None) as status,
        ):
            if audio.note:
                console.note(f"{name}: {audio.note}")

            def write(text: str) -> None:
                if file is not None:
                    file.write(text)
                    file.flush()
                elif text:
                    if console.stdout is not None and console.stdout.isatty():
                        status.stop()  # the text itself shows how far it is
                    console.answer(text)

            if len(self.files) > 1 and target is None and self.format == "txt":
                write(f"==> {name} <==\n")
            write(opening(self.format))
            windows = windows_of(audio.blocks, rate, cutting, transcript)
            with closing(segments_of(engine, windows, rate, self.options, self.sampling, transcript)) as segments:
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
            if self.format in ("json", "verbose_json"):
                write(self._json(transcript, medium.source))
        self._remarks(transcript, name, engine.info.name, time.perf_counter() - begun, console)

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
