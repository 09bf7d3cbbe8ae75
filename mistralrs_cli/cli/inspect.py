"""``mistralrs inspect``: what a model would be given."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from typer import Option

from ..errors import MediaDecodeError
from ..messages import MediaBytes, MediaRef, TextFile
from ..options import MediaPolicy, ModelOptions, Sampling
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from .dry_run import report
from .given import media_options, model_options
from .job import Job
from .media import decode_all, fetch_all
from .oneshot import open_model, prompt_messages
from .params.arguments import Sources
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.media import MediaParams
from .params.model import ModelParams
from .params.option import QUESTION
from .params.output import QuietReport, ReportJson, VerboseLibraries
from .params.question import QuestionParams
from .speech_report import report_speech

InspectedInput = Annotated[
    str | None, Option("-i", "--input", metavar="TEXT", rich_help_panel=QUESTION, help="A question, counted as well.")
]


@takes_groups
def inspect(
    *,
    sources: Sources,
    input: InspectedInput = None,
    question: Annotated[QuestionParams, Only("system")],
    model: ModelParams,
    reading: MediaParams,
    hardware: Annotated[HardwareParams, Except("threads", "max_seqs", "prefix_cache_n", "no_kv_cache")],
    as_json: ReportJson = False,
    quiet: QuietReport = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Report what a model would be given for some media: sizes, seconds, frames and tokens. Loads no weights.

    MEDIA are paths, URLs, data: URLs, or - for stdin; the contents of a file decide its type.

    mistralrs inspect *.jpg clip.mp4 -m google/gemma-4-E4B-it
    """
    options = media_options(reading)
    return Inspection(
        model=model_options(model, hardware),
        media=tuple(MediaRef("image", source, options=options) for source in sources),
        input=input or "",
        system=question.system,
        json=as_json,
        quiet=quiet,
        verbose=verbose,
        named=model.model_id is not None,
    )


@dataclass(frozen=True)
class Inspection:
    """A parsed ``inspect``."""

    model: ModelOptions
    media: tuple[MediaRef, ...]
    input: str = ""
    system: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    policy: MediaPolicy = field(default_factory=MediaPolicy)
    named: bool = True
    """Whether the user named the model."""

    def run(self, console: Console, models: Models) -> None:
        """Report the tokens of the prompt and the plan for the weights, without reading them."""
        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for notice in models.check(self.model):
                console.note(notice)
            media = tuple(map(with_detected_kind, fetch_all(self.media, self.policy, console)))
            if not self.named:
                console.note("using the bundled demo model; choose another with -m MODEL")
            asks = bool(self.input or self.system)
            checkpoint = open_model(self.model, media, console, models, speech=not asks)
            if checkpoint.family.transcribes:
                report_speech(checkpoint, self.model, media, self.policy, console, models, json=self.json)
                return
            messages = prompt_messages(self.system, decode_all(media, checkpoint, self.policy, console), self.input)
            report(checkpoint, self.model, messages, Sampling(), console, models, json=self.json)


def with_detected_kind(medium: MediaBytes | TextFile) -> MediaBytes | TextFile:
    """A medium with the kind that its bytes show. Raises ``MediaDecodeError`` for bytes that are none."""
    from ..media.kinds import kind_of

    if isinstance(medium, TextFile):
        return medium
    kind = kind_of(medium.data)
    if kind is None:
        raise MediaDecodeError(f"{medium.source} is neither an image nor audio nor video.", "Check the file.")
    return replace(medium, kind=kind)
