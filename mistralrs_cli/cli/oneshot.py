"""One question, one answer: from a parsed ``run -i`` to what the user sees."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..constraint.cut import unfinished
from ..errors import EngineLost, UnsupportedModality
from ..events import Done, Event, Reply, collect
from ..messages import Media, MediaBytes, MediaFile, MediaRef, Message, Text, TextFile
from ..options import DEFAULT_INSTRUCTION, AttachOptions, MediaPolicy, ModelOptions, Sampling
from ..start import Models, check_kind
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.render import show_end, stream_answer
from ..terminal.report import reply_object, show_object
from ..terminal.status import Status
from .dry_run import report
from .elsewhere import Watching, elsewhere, kept
from .media import captured, decode_all, fetch_all, fetch_or_name_all
from .prompt import read_question

if TYPE_CHECKING:
    from ..attach import AttachedEngine
    from ..attach.server import ServerEngine
    from ..engine import Engine
    from ..loading import Checkpoint


Given = MediaBytes | MediaFile | TextFile
"""What was given beside the question, as it was read."""


@dataclass(frozen=True)
class Output:
    """How an answer is shown."""

    json: bool = False
    quiet: bool = False
    stats: bool = True
    dry_run: bool = False
    verbose: bool = False
    draw: Path | None = None
    """Where the boxes and points of the answer are drawn."""


@dataclass(frozen=True)
class OneShot:
    """A parsed ``run`` with a question: the model, the prompt, and how to show the answer."""

    model: ModelOptions
    sampling: Sampling = field(default_factory=Sampling)
    media: tuple[MediaRef | MediaBytes | TextFile, ...] = ()
    input: str | None = None
    system: str | None = None
    kind: str | None = None
    """What the model must be: ``text``, ``multimodal`` …, if the user said."""
    output: Output = Output()
    policy: MediaPolicy = field(default_factory=MediaPolicy)
    named: bool = True
    """Whether the user named the model."""
    piped: bool = True
    """Whether text on stdin belongs to the question."""
    attach: AttachOptions = field(default_factory=AttachOptions)

    def run(self, console: Console, models: Models) -> None:
        """Answer, or report with ``--dry-run``. What takes long comes last: bad options and media fail at once."""
        output = self.output
        console.quiet, console.verbose = output.quiet, output.verbose and not output.quiet
        text = read_question(self.input, self.media, console, needed=not output.dry_run, piped=self.piped)
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            attached = None
            if not output.dry_run:
                attached = elsewhere(self.model, self.attach, console, models, named=self.named)
            for notice in models.check(self.model) if attached is None else attached.notices:
                console.note(notice)
            begun = time.perf_counter()
            taken = captured(self.media)
            here = output.dry_run or (attached is None and self.attach.keep is None)
            server = cast("ServerEngine | None", attached if self.attach.server is not None else None)
            sent = () if here else fetch_all(taken, self.policy, console, server=server)
            fetched: tuple[Given, ...] = sent
            if here:
                fetched = fetch_or_name_all(taken, self.policy, console)
            reading = time.perf_counter() - begun
            if not text.strip() and fetched:
                console.note(f"no question given; using “{DEFAULT_INSTRUCTION}”")
            if not self.named and self.attach.server is None:
                console.note("using the bundled demo model; choose another with -m MODEL")
            messages = prompt_messages(self.system, sent, text)  # of use only where another process answers
            if attached is None and self.attach.keep is not None and not output.dry_run:
                attached = kept(self.model, self.attach, console, models, kind=self.kind)
            if attached is not None and self.answered(attached, messages, sent, reading, console):
                return
            checkpoint = open_model(self.model, fetched, console, models, self.kind)
            begun = time.perf_counter()
            media = decode_all(fetched, checkpoint, self.policy, console)
            reading += time.perf_counter() - begun
            messages = prompt_messages(self.system, media, text)
            if output.dry_run:
                report(checkpoint, self.model, messages, self.sampling, console, models, json=output.json)
                return
            with (
                load(checkpoint, self.model, console, models, sampling=self.sampling) as engine,
                console.status("Reading the prompt") as status,
                engine.stream(messages, self.sampling) as events,
            ):
                self.show(events, checkpoint.name, fetched, reading, console, status)

    def answered(
        self,
        engine: AttachedEngine | ServerEngine,
        messages: Sequence[Message],
        sent: Sequence[Given],
        reading: float,
        console: Console,
    ) -> bool:
        """Have an engine in another process answer. False, with a note, where it is lost before it has begun."""
        check_kind(engine.name, engine.modalities, self.kind)
        engine.policy = self.policy
        with engine, console.status("Reading the prompt", animated=not engine.downloads) as status:
            watch = Watching(console, status)
            try:
                events = engine.stream(messages, self.sampling, watch=watch)
            except EngineLost as lost:
                status.stop()
                console.note(f"{lost.message}; loading the model here")
                return False
            with events:
                self.show(events, engine.name, sent, reading, console, status)
        return True

    def show(
        self,
        events: Iterable[Event],
        model: str,
        given: Sequence[Given],
        reading: float,
        console: Console,
        status: Status,
    ) -> None:
        """Show an answer as it comes; its media took ``reading`` seconds before.

        Raises where it broke a grammar, and where there is nothing to draw into the ``given`` images.
        """
        output = self.output
        kept: list[Event] = []
        end: Done | Reply
        if output.json:
            reply = collect(events)
            end = reply = replace(reply, timing=reply.timing.after(reading))
            status.stop()
            show_object(reply_object(reply, model), console)
        else:
            done = stream_answer(events if output.draw is None else remembered(events, kept), console, status)
            end = done = replace(done, timing=done.timing.after(reading))
            show_end(done, console, stats=output.stats and (console.watched or console.verbose))
        if output.draw is not None:
            draw_answer(reply if output.json else collect(kept), given, output.draw, self.policy, console)
        elif output.json:
            for text in reply.found.left_out:
                console.note(text)
        if (error := unfinished(self.sampling.grammar, end)) is not None:
            raise error


def remembered(events: Iterable[Event], kept: list[Event]) -> Iterator[Event]:
    """The events, which are also put into a list."""
    for event in events:
        kept.append(event)
        yield event


def draw_answer(reply: Reply, given: Sequence[Given], path: Path, policy: MediaPolicy, console: Console) -> None:
    """Draw the boxes and points of an answer into the images that were given. Raises what ``draw`` does."""
    from ..media.marking import draw, remarks

    media = [each for each in given if not isinstance(each, TextFile)]
    originals = {number: each for number, each in enumerate(media) if each.kind != "audio"}
    for text in reply.found.left_out:
        console.note(text)
    for text in remarks(draw(reply.found, reply.media, originals, path, policy)):
        console.note(text)


def prompt_messages(system: str | None, media: Sequence[Media | TextFile], text: str) -> tuple[Message, ...]:
    """The conversation: media and texts in the order given, then the words."""
    user = Message("user", (*media, Text(text)))
    return (user,) if system is None else (Message("system", (Text(system),)), user)


def open_model(
    options: ModelOptions,
    media: Sequence[Media | MediaFile | TextFile],
    console: Console,
    models: Models,
    kind: str | None = None,
    *,
    speech: bool = False,
) -> Checkpoint:
    """The checkpoint's configuration, once it is clear that it reads these media. With ``speech`` it may be one that
    only transcribes, of clips their audio tracks."""
    from ..families import require

    with console.status(f"Opening {options.model_id}", animated=False):
        checkpoint = models.open(options, kind, speech=speech)
    kinds = [medium.kind for medium in media if isinstance(medium, Media | MediaFile)]
    if checkpoint.family.transcribes:
        kinds = ["audio" if kind == "video" else kind for kind in kinds]
    try:
        require(checkpoint.family, checkpoint.name, kinds, options.max_num_images)
    except UnsupportedModality as error:
        tracks = [each for each in media if not isinstance(each, TextFile) and each.options.soundtrack]
        if any(each.kind == "audio" for each in tracks) and "audio" not in checkpoint.family.modalities:
            raise UnsupportedModality(error.message, "Leave out --soundtrack, or take a model that hears.") from error
        raise
    return checkpoint


def load(
    checkpoint: Checkpoint,
    options: ModelOptions,
    console: Console,
    models: Models,
    *,
    sampling: Sampling | None = None,
    prefixes: int = 0,
) -> Engine:
    """Start an engine, with notes on its weights. A template that does not read ``sampling`` fails before they load."""
    with console.status(f"Loading {checkpoint.name}", animated=checkpoint.repository is None) as status:
        processor = None
        if sampling is not None and sampling.template_inputs:
            processor = models.processor(checkpoint, options, sampling)
        engine = models.start(checkpoint, options, prefixes=prefixes, processor=processor, progress=status.quantizing)
    for note in engine.info.notes:
        console.note(note)
    return engine
