"""One question, one answer: from a request to what the user sees."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..constraint.cut import unfinished
from ..decoded import DecodedImage
from ..errors import MediaDecodeError, UnsupportedModel
from ..events import Done, Reply, collect
from ..messages import DecodedMedia, Media, MediaBytes, MediaRef, Message, Text
from ..options import DEFAULT_INSTRUCTION, MediaPolicy, ModelOptions, Sampling
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.render import stream_answer, tell_end
from ..terminal.report import Detail, PromptReport, prompt_object, reply_object, show_object, show_prompt
from ..terminal.waiting import waited
from .prompt import question

if TYPE_CHECKING:
    from ..loading import Checkpoint, LoadedModel

Job = Callable[[Console], int | None]
"""What a command line asks for, ready to be done. It may return an exit code; none is 0."""


@dataclass(frozen=True)
class Output:
    """How an answer is shown."""

    json: bool = False
    quiet: bool = False
    stats: bool = True
    dry_run: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Request:
    """A parsed ``run``: what to ask whom, and how to show the answer. ``kind`` is the kind word, if any."""

    model: ModelOptions
    sampling: Sampling = field(default_factory=Sampling)
    media: tuple[MediaRef, ...] = ()
    input: str | None = None
    system: str | None = None
    kind: str | None = None
    output: Output = Output()
    policy: MediaPolicy = field(default_factory=MediaPolicy)
    named: bool = True
    """Whether the user named the model."""
    piped: bool = True
    """Whether text on stdin belongs to the question."""
    inspecting: bool = False
    """For ``inspect``: stdin is left alone, and bytes tell the kind of each medium."""

    def __call__(self, console: Console) -> None:
        """Do it: what takes long comes last, so that bad options and media are reported at once."""
        from ..loading import check

        console.quiet, console.verbose = self.output.quiet, self.output.verbose and not self.output.quiet
        text = (self.input or "") if self.inspecting else self.question(console)
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for notice in check(self.model):
                console.note(notice)
            begun = time.perf_counter()
            media = fetch_all(self, console)
            reading = time.perf_counter() - begun
            if not text.strip() and media and not self.inspecting:
                console.note(f"nothing was asked, so the question is “{DEFAULT_INSTRUCTION}”")
            if not self.named:
                does = "is described" if self.output.dry_run else "answers"
                console.note(f"the bundled demo model {does}; -m MODEL picks another")
            checkpoint = open_model(self, media, console)
            begun = time.perf_counter()
            messages = self.messages(text, decode_all(media, checkpoint, self.policy, console))
            reading += time.perf_counter() - begun
            if self.output.dry_run:
                report(self, checkpoint, messages, console)
            else:
                answer(self, checkpoint, messages, console, reading)

    def question(self, console: Console) -> str:
        """The words of the question; a dry run needs none."""
        return question(self.input, self.media, console, needed=not self.output.dry_run, piped=self.piped)

    def messages(self, text: str, media: tuple[Media, ...]) -> tuple[Message, ...]:
        """The conversation: media in the order given, then the words."""
        user = Message("user", (*media, Text(text)))
        return (user,) if self.system is None else (Message("system", (Text(self.system),)), user)


def fetch_all(request: Request, console: Console) -> tuple[MediaBytes, ...]:
    """The bytes of every medium. One that lets itself be waited for is named meanwhile."""
    from ..media.labels import label
    from ..media.sources import fetch

    fetched = []
    stdin = sys.stdin.buffer if sys.stdin is not None else None
    for number, medium in enumerate(request.media, start=1):
        place = f" ({number} of {len(request.media)})" if len(request.media) > 1 else ""
        if medium.source == "-":  # a thread that holds stdin would keep the process from ending
            with console.status(f"Reading {label(medium.source)}{place}"):
                found = fetch(medium, request.policy, stdin)
        else:
            found = waited(f"Reading {label(medium.source)}{place}", partial(fetch, medium, request.policy), console)
        fetched.append(with_detected_kind(found) if request.inspecting else found)
    return tuple(fetched)


def open_model(request: Request, media: tuple[Media, ...], console: Console) -> "Checkpoint":
    """The checkpoint's configuration, once it is clear that it reads these media."""
    from ..families import require
    from ..loading import open_checkpoint

    with console.status(f"Opening {request.model.model_id}", animated=False):
        checkpoint = open_checkpoint(request.model)
    family = checkpoint.family
    if request.kind in ("multimodal", "vision") and not family.modalities:
        raise UnsupportedModel(
            f"{checkpoint.name} reads text only.", f"Leave out the word {request.kind}, or name another model with -m."
        )
    require(family, checkpoint.name, [medium.kind for medium in media], request.model.max_num_images)
    return checkpoint


def decode_all(
    media: tuple[MediaBytes, ...], checkpoint: "Checkpoint", policy: MediaPolicy, console: Console
) -> tuple[DecodedMedia, ...]:
    """Images, samples and frames, as this model's family wants them."""
    from ..media import decode
    from ..media.labels import label

    family = checkpoint.family
    decoded = []
    with console.status("Decoding media", len(media)) as status:
        for each in media:
            decoded.append(decode(each, policy, rate=family.audio_rate, sampling=family.sampling))
            status.advance()
    for medium in decoded:
        if isinstance(medium.data, DecodedImage) and medium.data.more:
            console.note(
                f"{label(medium.source)} is animated or has pages; only the first is used. "
                "Use --video for a whole animation."
            )
        if medium.data.note:
            console.note(f"{label(medium.source)}: {medium.data.note}")
    return tuple(decoded)


def report(request: Request, checkpoint: "Checkpoint", messages: tuple[Message, ...], console: Console) -> None:
    """Show what the model would be given, without its weights."""
    from ..loading import load_processor

    family = checkpoint.family
    with console.status(f"Loading the processor of {checkpoint.name}"):
        processor = load_processor(checkpoint, request.model)
        prepared = family.prepare(processor, messages, request.sampling.template_inputs)
    found = PromptReport(
        checkpoint.name,
        family.name,
        family.context_length,
        prepared.prompt_tokens,
        tuple(prepared.media),
        details(checkpoint, request.model),
    )
    if request.output.json:
        show_object(prompt_object(found), console)
    else:
        show_prompt(found, console)


def details(checkpoint: "Checkpoint", options: ModelOptions) -> tuple[Detail, ...]:
    """How the model would be loaded."""
    from ..loading import plan

    found = []
    if piece := checkpoint.slice:
        value = {"name": piece.name, "layers": len(piece.kept), "skipped": piece.skipped, "widths": piece.widths}
        found.append(Detail("slice", f"{piece.name}, {piece.summary}", value))
    if layout := plan(checkpoint, options):
        placement, need = layout.placement, layout.need
        devices = {"layers": placement.layers, "rest": placement.rest, "weights": dict(placement.pinned)}
        size = {"weights": need.weights, "cache": sum(need.cache), "activations": need.activations}
        found.append(Detail("placement", placement.summary, devices))
        found.append(Detail("memory", layout.summary(options), size | {"devices": layout.demand}))
        if layout.shortage and layout.advice:
            found.append(Detail("advice", layout.advice, layout.advice))
    return tuple(found)


def load_model(
    checkpoint: "Checkpoint", options: ModelOptions, console: Console, sampling: Sampling | None = None
) -> "LoadedModel":
    """Read the weights, and tell what is to be known about them; first see whether its template takes ``sampling``."""
    with console.status(f"Loading {checkpoint.name}", animated=checkpoint.repository is None) as status:
        from ..loading import load

        processor = None if sampling is None else checked_processor(checkpoint, options, sampling)
        loaded = load(checkpoint, options, status.quantizing, processor)
    for note in loaded.notes:
        console.note(note)
    return loaded


def checked_processor(checkpoint: "Checkpoint", options: ModelOptions, sampling: Sampling) -> Any:
    """The processor of a model whose template is to read something, which is checked before the weights are read.

    ``None`` where nothing is said to the template. Raises ``OptionError`` where it does not read it.
    """
    if not sampling.template_inputs:
        return None
    from ..engine.template_inputs import check_template_inputs
    from ..loading import load_processor

    processor = load_processor(checkpoint, options)
    check_template_inputs(SimpleNamespace(name=checkpoint.name, processor=processor), sampling)
    return processor


def answer(
    request: Request, checkpoint: "Checkpoint", messages: tuple[Message, ...], console: Console, reading: float
) -> None:
    """Load the model and show its answer. The media took ``reading`` seconds, which the first token is counted with."""
    output = request.output
    loaded = load_model(checkpoint, request.model, console, request.sampling)
    from ..engine import Engine

    with (
        Engine(loaded, max_rows=request.model.max_seqs) as engine,
        console.status("Reading the prompt") as status,
        engine.stream(messages, request.sampling) as events,
    ):
        end: Done | Reply
        if output.json:
            reply = collect(events)
            reply = end = replace(reply, timing=reply.timing.after(reading))
            status.stop()
            show_object(reply_object(reply, loaded.name), console)
        else:
            done = stream_answer(events, console, status)
            done = end = replace(done, timing=done.timing.after(reading))
            tell_end(done, console, stats=output.stats and (console.watched or console.verbose))
        if (error := unfinished(request.sampling.grammar, end)) is not None:
            raise error


def with_detected_kind(medium: MediaBytes) -> MediaBytes:
    """A medium with the kind that its bytes show."""
    from ..media.kinds import kind_of

    kind = kind_of(medium.data)
    if kind is None:
        raise MediaDecodeError(f"{medium.source} is neither an image nor audio nor a video.", "Check the file.")
    return replace(medium, kind=kind)
