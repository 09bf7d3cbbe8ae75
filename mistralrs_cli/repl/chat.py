"""A chat: a conversation, a model to hold it with, and what waits to be asked about. Nothing here reads a keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..conversation import Conversation, Turn
from ..conversation.store import Store
from ..errors import ContextOverflow, MistralrsError, OptionError, UnsupportedModel
from ..events import Done, Event, MediaReport, ReasoningDelta, Started, TextDelta, Timing, Usage
from ..messages import Media, Message, Text
from ..options import DEFAULT_INSTRUCTION, ModelOptions
from ..terminal.console import Console
from ..terminal.plain import PlainView, View
from ..terminal.render import stats_line
from . import ChatRequest
from .attachments import Attachments, name
from .interrupt import Interruptible
from .loading import Loading, fetched
from .settings import Display, Settings

if TYPE_CHECKING:
    from ..engine import Engine
    from ..families import Family
    from ..loading import Checkpoint

NEARLY = 0.8
"""The share of the context from which on its end is announced."""

UNSAVED = {"token_source", "hf_cache", "trust_remote_code", "threads", "max_seqs"}
"""Options that belong to the machine, or must be given anew, rather than to the conversation."""


SIGNS = " \t\r\n()[]{}<>,;.:\"'“”\u2018’«»*&…"
"""What people write between and around names; alone it asks nothing."""


class Interrupted(Exception):
    """The answer was stopped before its first word."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A medium that waits for its question; ``report`` says what the model gets, once that is known."""

    medium: Media
    report: MediaReport | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A line for the user to edit, or one to ``send`` in place of the last question."""

    text: str
    send: bool = False


@dataclass(slots=True)
class Answer:
    """What an answer has come to so far."""

    said: str = ""
    thought: str = ""
    started: Started = field(default_factory=lambda: Started(0))
    done: Done | None = None

    def take(self, event: Event) -> None:
        """Add one event."""
        match event:
            case Started():
                self.started = event
            case TextDelta():
                self.said += event.text
            case ReasoningDelta():
                self.thought += event.text
            case Done():
                self.done = event


class Chat:
    """What the commands work on. ``lively`` says whether a person watches a terminal that can be redrawn."""

    def __init__(self, request: ChatRequest, console: Console, store: Store, *, lively: bool) -> None:
        self.console = console
        self.store = store
        self.lively = lively
        self.talkative = not request.quiet
        self.attachments = Attachments(store, request.policy)
        self.settings = Settings(request.sampling, request.media_options, Display(stats=request.stats))
        self.conversation = Conversation()
        self.staged: list[Staged] = []
        self.thought = ""
        self.warned = False
        self.changed: Callable[[], None] = lambda: None  # the toolbar hears of news
        self.no_echo: Callable[[], AbstractContextManager[None]] = nullcontext  # what is typed meanwhile waits
        self.loading: Loading | None = None
        self.former: ModelOptions | None = None  # of the model before, for when this one cannot be loaded

    # The model

    def open(self, options: ModelOptions, kind: str | None = None) -> None:
        """Begin to load a model, once it is clear that it reads all media of the chat. The one before is closed first.

        Raises ``ModelError`` or ``MediaError``; then everything is as before.
        """
        from ..loading import check, open_checkpoint

        for notice in check(options):
            self.console.note(notice)
        with self.console.status(f"Opening {options.model_id}", animated=False):
            checkpoint = open_checkpoint(options)
        if kind in ("multimodal", "vision") and not checkpoint.family.modalities:
            raise UnsupportedModel(
                f"{checkpoint.name} reads text only.", f"Leave out the word {kind}, or name another model with -m."
            )
        staged, turns = self.read_for(checkpoint)
        checkpoint = fetched(checkpoint, options)
        if self.loading is not None:
            self.loading.close()
        self.staged, self.conversation.turns = staged, turns
        self.conversation.model = described(options)
        self.loading = Loading(checkpoint, options, lambda: self.changed())

    def read_for(self, checkpoint: Checkpoint) -> tuple[list[Staged], list[Turn]]:
        """All media of the chat as this model wants them decoded."""
        again = Conversation(turns=list(self.conversation.turns))
        family = checkpoint.family
        with self.console.status("Decoding media", len(again.media) + len(self.staged)) as status:

            def decode(medium: Media) -> Media:
                status.advance()
                raw = medium if isinstance(medium.data, bytes) else replace(medium, data=None)
                return self.attachments.decoded(raw, family)

            again.change_media(decode)
            return [Staged(decode(item.medium)) for item in self.staged], again.turns

    def switch(self, model: str) -> None:
        """Go on with another model; the one before is let go of first, and loaded again where that fails."""
        assert self.loading is not None
        former = self.loading.options if self.loading.error is None else self.former
        # what was named for the old checkpoint does not fit another one
        self.open(
            replace(
                self.loading.options,
                model_id=model,
                revision=None,
                tokenizer=None,
                chat_template=None,
                jinja_explicit=None,
                arch=None,
                topology=None,
                matformer_config_path=None,
                matformer_slice_name=None,
                trust_remote_code=False,
            )
        )
        self.former = former

    def go_back(self) -> bool:
        """Begin to load the model before, where the one after it could not be loaded; whether that is so.

        Raises what ``open`` raises.
        """
        if self.former is None or self.loading is None or self.loading.error is None:
            return False
        self.open(self.former)
        self.former = None
        return True

    @property
    def family(self) -> Family:
        """The family of the model."""
        assert self.loading is not None
        return self.loading.checkpoint.family

    @property
    def model(self) -> str:
        """Its name."""
        assert self.loading is not None
        return self.loading.checkpoint.name

    @property
    def context(self) -> int | None:
        """How many tokens it holds."""
        assert self.loading is not None
        engine = self.loading.engine
        return self.family.context_length if engine is None else engine.loaded.context_length

    def engine(self) -> Engine:
        """The engine, once it is there."""
        assert self.loading is not None
        if self.loading.engine is not None:
            return self.loading.engine
        if self.console.still:
            self.console.note(f"{self.model} is being loaded")
        with Interruptible(), self.console.status(f"Loading {self.model}"):
            return self.loading.wait()

    # Media

    def stage(self, media: Sequence[Media]) -> None:
        """Keep media for the next question, and say what the model will get of each."""
        for medium in media:
            medium = self.attachments.decoded(replace(medium, options=self.settings.media), self.family)
            self.staged.append(Staged(medium, self.report(medium)))
            self.echo(len(self.staged), self.staged[-1])
        self.changed()

    def report(self, medium: Media) -> MediaReport | None:
        """What the model gets of a medium, where it is there to be asked."""
        assert self.loading is not None
        engine = self.loading.engine
        if engine is None:
            return None
        alone = [Message("user", (medium, Text(DEFAULT_INSTRUCTION)))]
        found = engine.loaded.family.prepare(engine.loaded.processor, alone).media
        return found[0] if found else None

    def echo(self, number: int, item: Staged) -> None:
        """``[1] photo.jpg 4032×3024 JPEG → 1,316 tokens``, or less where the model is still being loaded."""
        if not self.talkative or not (self.console.interactive or self.console.verbose):
            return
        gets = f"{item.report.summary} → {item.report.tokens:,} tokens" if item.report else f"({item.medium.kind})"
        self.console.tell(f"[{number}] {name(item.medium.source)} {gets}", dim=True)

    # Questions and answers

    def ask(self, line: str, *, replacing: bool = False) -> None:
        """Ask a line about what is staged, perhaps in place of the last question.

        An error takes the turn back: media are staged as before, and the conversation is what it was.
        """
        staged, turns = self.staged, self.conversation.turns
        try:
            if replacing and turns:
                self.conversation.turns = turns[:-1]
                self.staged = [*map(Staged, turns[-1].attached), *staged]
            with self.no_echo(), self.console.status("Reading media"):
                named = self.attachments.read_line(line, self.family, self.settings.media)
            if named.media and not named.text.strip(SIGNS):
                named = replace(named, parts=named.media)
            question = replace(named, parts=(*(item.medium for item in self.staged), *named.parts))
            waiting, self.staged = self.staged, []
            self.answer(question, line, waiting)
        except BaseException:
            self.staged, self.conversation.turns = staged, turns
            raise

    def again(self) -> None:
        """Ask the last question once more. On an error the old answer stays."""
        turns = self.conversation.turns
        turn = self.conversation.last
        self.conversation.turns = turns[:-1]
        try:
            self.answer(turn.question, turn.typed, [Staged(medium) for medium in turn.attached])
        except BaseException:
            self.conversation.turns = turns
            raise

    def undo(self) -> Turn:
        """Take the last turn back; what was staged for it waits again."""
        turn = self.conversation.last
        self.conversation.turns = self.conversation.turns[:-1]
        self.staged = [*map(Staged, turn.attached), *self.staged]
        self.changed()
        self.save_changes()
        return turn

    def answer(self, question: Message, typed: str, staged: Sequence[Staged]) -> None:
        """Let the model answer, show it, and add the turn to the conversation."""
        with self.no_echo():
            engine = self.engine()
        if not question.text.strip() and self.talkative:
            self.console.note(f"nothing was asked, so the question is “{DEFAULT_INSTRUCTION}”")
        with self.no_echo():
            answer, cut = self.listen(engine, question, staged)
        if cut and not answer.said.strip():
            raise Interrupted
        usage = answer.done.usage if answer.done else self.counted(engine, answer)
        timing = answer.done.timing if answer.done else Timing()
        turn = Turn(
            question,
            answer.said,
            typed=typed,
            staged=len(staged),
            cut=cut,
            reasoning=answer.thought,
            model=self.model,
            usage=usage,
            timing=timing,
        )
        self.conversation.turns = [*self.conversation.turns, turn]
        self.thought = answer.thought or self.thought
        self.save()
        self.tell_end(turn, answer.done)

    def listen(self, engine: Engine, question: Message, staged: Sequence[Staged]) -> tuple[Answer, bool]:
        """Show an answer while it comes; what there is of it, and whether the user stopped it."""
        answer = Answer()
        view = self.view()
        status = self.console.status("Reading the prompt")
        try:
            with (
                Interruptible() as waiting,
                engine.stream(self.conversation.messages(question), self.settings.sampling) as events,
            ):
                for event in waiting.each(events):
                    answer.take(event)
                    match event:
                        case Started():
                            status.stop()
                            self.echo_question(event, question, staged)
                            status = self.console.status("Reading the prompt")
                        case TextDelta(text) | ReasoningDelta(text) if text:
                            status.stop()
                            view.show(event)
                        case _:
                            pass
        except KeyboardInterrupt:
            return answer, True
        except ContextOverflow as error:
            clips = any(medium.kind == "video" for medium in question.media)
            less = "take fewer frames: /set frames 8" if clips else "send smaller media: /set max_edge 768"
            raise ContextOverflow(error.message, f"{self.room()}, or {less}") from error
        finally:
            status.stop()
            view.close()
        return answer, False

    def view(self) -> View:
        """How the answer is shown."""
        display = self.settings.display
        if self.lively and display.markdown and self.console.stdout is not None and self.console.stdout.isatty():
            from ..terminal.rendered import RenderedView

            return RenderedView(self.console, display.thoughts)
        return PlainView(self.console, display.thoughts, named=not self.lively)

    def echo_question(self, started: Started, question: Message, staged: Sequence[Staged]) -> None:
        """Say what the model gets of media that were not announced yet, and when there is little room to answer."""
        known = [item.report for item in staged] + [None] * (len(question.media) - len(staged))
        reports = started.media[len(started.media) - len(question.media) :]
        for number, (medium, before, report) in enumerate(zip(question.media, known, reports, strict=False), start=1):
            if before is None:
                self.echo(number, Staged(medium, report))
        left = (self.context or started.prompt_tokens * 10) - started.prompt_tokens
        if left < 200 and self.talkative:
            self.console.note(f"only {left:,} tokens of the context are left for the answer")

    @staticmethod
    def counted(engine: Engine, answer: Answer) -> Usage:
        """The tokens of an answer that was cut."""
        ids = engine.loaded.tokenizer.encode(answer.thought + answer.said, add_special_tokens=False)
        return Usage(prompt_tokens=answer.started.prompt_tokens, completion_tokens=len(ids))

    def tell_end(self, turn: Turn, done: Done | None) -> None:
        """Say how the answer ended, its numbers, and that the context is nearly full."""
        if not self.talkative:
            return
        if not turn.answer.strip():
            self.console.note("the model answered nothing; /retry asks again")
        full = self.context is not None and self.conversation.tokens >= self.context
        if done is None:
            self.console.note("stopped; what was said is kept, /retry asks again")
        elif done.reason == "length":
            allows = "the context is full" if full else "/set max_tokens N allows more"
            self.console.note(f"the answer was cut after {turn.usage.completion_tokens:,} tokens: {allows}")
        if done is not None and self.settings.display.stats and (self.console.interactive or self.console.verbose):
            self.console.stats(stats_line(turn.usage, turn.timing))
        if self.context is not None and self.conversation.tokens >= NEARLY * self.context:
            share = min(100, round(100 * self.conversation.tokens / self.context))
            self.console.note(f"the context is {share}% full ({self.used()}): {self.room()}")

    def used(self) -> str:
        """How much of the context is taken: ``512 of 8,192 tokens``."""
        total = "" if self.context is None else f" of {self.context:,}"
        return f"{self.conversation.tokens:,}{total} tokens"

    def room(self) -> str:
        """What would free some of the context."""
        turns = self.conversation.turns
        if not turns:
            return "shorten the question"
        before = turns[-2].usage if len(turns) > 1 else Usage()
        freed = self.conversation.tokens - before.prompt_tokens - before.completion_tokens
        system = "" if self.conversation.system is None else " but the instructions"
        return f"/undo frees {max(0, freed):,} tokens, /clear all{system}"

    # Keeping

    def save(self) -> None:
        """Write the conversation to the store; where that fails, say so once and go on."""
        try:
            self.store.save(self.conversation)
        except MistralrsError as error:
            if not self.warned:
                self.console.error(error.message, error.hint)
            self.warned = True

    def save_changes(self) -> None:
        """Save after a change that asked nothing; an empty conversation is not worth a file."""
        if self.conversation.turns or self.store.holds(self.conversation):
            self.save()

    def resume(self, conversation: Conversation) -> None:
        """Take up another conversation. Raises ``MediaError`` where this model cannot read its media."""
        before = self.conversation
        self.conversation = conversation
        try:
            if self.loading is not None:
                _, conversation.turns = self.read_for(self.loading.checkpoint)
                conversation.model = described(self.loading.options)
        except BaseException:
            self.conversation = before
            raise

    def close(self) -> None:
        """Let go of the model."""
        if self.loading is not None:
            self.loading.close()


def described(options: ModelOptions) -> dict[str, Any]:
    """What a kept conversation remembers of its model: the options that were given."""
    found = {
        key: value
        for key, value in asdict(options).items()
        if key not in UNSAVED and isinstance(value, (str, int, float)) and value != getattr(ModelOptions, key, None)
    }
    folder = Path(options.model_id)
    found["model_id"] = str(folder.resolve()) if folder.is_dir() else options.model_id
    return found


def options_of(conversation: Conversation, given: ModelOptions) -> ModelOptions:
    """The options a conversation was held with, where the command line names no model of its own."""
    known = {known.name for known in fields(ModelOptions)} - UNSAVED
    remembered = {key: value for key, value in conversation.model.items() if key in known}
    try:
        return replace(given, **remembered)
    except TypeError as error:
        raise OptionError("The model of this chat is not written down well.", "Name one: -m MODEL") from error
