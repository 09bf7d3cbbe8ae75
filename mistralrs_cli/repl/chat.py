"""A chat: a conversation, a model to hold it with, and what waits to be asked about. Nothing here reads a keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..conversation import Conversation, LostMedia, Turn, without_lost
from ..conversation.store import Store
from ..errors import ContextOverflow, MediaError, OptionError, UnsupportedModality
from ..events import Done, MediaReport, ReasoningDelta, Reply, Started, TextDelta, Timing
from ..grounding import Found, find
from ..messages import DecodedMedia, Media, MediaBytes, Message, Text, TextFile
from ..options import DEFAULT_INSTRUCTION, ModelOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.plain import PlainView, Unseen, View
from ..terminal.render import stats_line
from ..terminal.report import reply_object, show_line, show_object
from . import ChatRequest
from .answer import Answer, Interrupted
from .attachments import PUNCTUATION, Attachments, Staged
from .autosave import RESCUE, Autosave, RunningTurn, TurnWriter
from .context_usage import ContextUsage
from .interrupt import Interruptible
from .model import ChatModel, title
from .names import name
from .previews import Previews
from .settings import Display, Settings

if TYPE_CHECKING:
    from ..engine import Engine
    from ..families import Family

NEARLY = 0.8
"""The share of the context from which on its end is announced."""

LITTLE = 200
"""Tokens left for an answer that are worth a word before it."""


class Chat:
    """What the commands work on. ``redraw`` says whether a person watches a terminal that can be redrawn."""

    def __init__(self, request: ChatRequest, console: Console, store: Store, models: Models, *, redraw: bool) -> None:
        self.console = console
        self.store = store
        self.redraw = redraw
        self.quiet = request.quiet
        self.json = request.json
        self.piped = False
        self.one = False  # whether it is asked one question by a shell command, which names no media in it
        self.ended: Done | None = None
        self.previews = Previews(console, redraw=redraw and not self.quiet)
        self.attachments = Attachments(store, request.policy, console, decodes=request.attach.server is None)
        self.settings = Settings(request.sampling, request.media_options, Display(stats=request.stats))
        self.conversation = Conversation()
        self.staged: list[Staged] = []
        self.reasoning = ""
        self.stopped = False  # whether the user stopped the last answer
        self.autosave = Autosave(store, console)
        self.changed: Callable[[], None] = lambda: None  # called when the toolbar has to be redrawn
        self.no_echo: Callable[[], AbstractContextManager[None]] = nullcontext  # what is typed meanwhile waits
        self.released: Callable[[], AbstractContextManager[None]] = nullcontext  # another program has the terminal
        self.model = ChatModel(console, models, lambda: self.changed(), request.attach)

    # The model

    def open(self, options: ModelOptions, kind: str | None = None) -> None:
        """Begin to load a model, once it is clear that it reads all media of the chat. The one before is closed first.

        Raises ``ModelError`` or ``MediaError``; then everything is as before.
        """
        checkpoint = self.model.find(options, kind)
        staged, turns = self.read_for(checkpoint.family, title(checkpoint))
        remembered = self.model.remembered(options)
        self.model.load(checkpoint, options)
        self.staged, self.conversation.turns, self.conversation.model = staged, turns, remembered

    def read_for(self, family: Family, model: str) -> tuple[list[Staged], list[Turn]]:
        """All media of the chat as models of this family want them decoded.

        Those of earlier turns that are lost are left out, with a note. Raises ``MediaError`` for one that waits for
        its question, and where the family reads no such kind; errors call the model ``model``.
        """
        again = Conversation(turns=list(self.conversation.turns))
        lost: dict[str, None] = {}
        with self.console.status("Decoding media", len(again.media) + len(self.staged)) as status:

            def decode(medium: Media) -> Media:
                status.advance()
                raw = medium if isinstance(medium, MediaBytes) else medium.as_ref()
                return self.attachments.decoded(raw, family, model)

            def decode_or_lose(medium: Media) -> Media:
                try:
                    return decode(medium)
                except UnsupportedModality:
                    raise
                except MediaError as error:
                    lost[f"{error.message.rstrip('.')}: that {medium.kind} is left out"] = None
                    return LostMedia.of(medium)

            again.change_media(decode_or_lose)
            staged = [
                item if isinstance(item.medium, TextFile) else Staged(decode(item.medium)) for item in self.staged
            ]
        for text in lost:
            self.console.note(text)
        return staged, again.turns

    def switch(self, name: str) -> None:
        """Switch to another model; the one before is closed first, and loaded again where that fails."""
        former = self.model.usable
        self.open(self.model.renamed(name))
        self.model.former = former

    def go_back(self) -> bool:
        """Begin to load the model before, where the current one could not be loaded; whether that is so.

        Raises what ``open`` raises.
        """
        former = self.model.former
        if former is None or not self.model.failed:
            return False
        self.open(former)
        self.model.former = None
        return True

    # Media

    def stage(self, media: Sequence[Media | TextFile]) -> None:
        """Keep media for the next question, and say what the model will get of each."""
        for medium in media:
            if isinstance(medium, TextFile):
                self.stage_texts([medium])
                continue
            if not isinstance(medium, DecodedMedia) and medium.digest is None:
                medium = replace(medium, options=self.settings.media)
                medium = self.attachments.decoded(medium, self.model.family, self.model.title)
            self.staged.append(Staged(medium, self.report(medium)))
            self.echo(len(self.staged), self.staged[-1])
            self.previews.attached([medium], self.settings.display.preview)
        self.changed()

    def stage_texts(self, files: Sequence[TextFile]) -> None:
        """Keep texts for the next question."""
        for file in files:
            self.staged.append(Staged(file))
            self.echo(len(self.staged), self.staged[-1])
        self.changed()

    def report(self, medium: Media) -> MediaReport | None:
        """What the model gets of a medium, where it is there to be asked."""
        engine = self.model.engine
        if engine is None or self.model.server is not None:
            return None
        alone = [Message("user", (medium, Text(DEFAULT_INSTRUCTION)))]
        found = engine.report(alone).media
        return found[0] if found else None

    def echo(self, number: int, item: Staged) -> None:
        """``[1] photo.jpg 4032×3024 JPEG → 1,316 tokens``, or less where the model is still being loaded."""
        if self.quiet or not (self.console.watched or self.console.verbose):
            return
        self.console.show(f"[{number}] {name(item.medium.source)} {item.gets}", dim=True)

    # Questions and answers

    def ask(self, line: str, *, replacing: bool = False) -> None:
        """Ask a line about what is staged, perhaps in place of the last question.

        An error takes the turn back: media are staged as before, and the conversation is what it was.
        """
        staged, turns = self.staged, self.conversation.turns
        waiting, before = staged, turns
        if replacing and turns:
            waiting, before = [*map(Staged, turns[-1].attached), *staged], turns[:-1]
        media = tuple(item.medium for item in waiting)
        running = RunningTurn(Message("user", (*media, Text(line))), line, len(media), self.model.name)
        try:
            with self.autosave.watching(self.conversation, running) as watch:
                begun = time.perf_counter()
                with self.no_echo():
                    named = self.read(line)
                reading = time.perf_counter() - begun
                if named.media and not named.text.strip(PUNCTUATION):
                    named = replace(named, parts=named.media)
                self.staged = []
                watch.send(replace(named, parts=(*media, *named.parts)))
                turn = self.answer(watch, waiting, before, reading)
        except BaseException:
            if self.conversation.turns is turns:
                self.staged = staged
            raise
        self.end(turn, running.answer)

    def read(self, line: str) -> Message:
        """A question with the media that its line names."""
        if self.one:
            return Message("user", (Text(line),))
        return self.attachments.read_line(line, self.model.family, self.settings.media, self.model.title)

    def again(self) -> None:
        """Ask the last question once more. On an error the old answer stays."""
        last = self.conversation.last
        running = RunningTurn(last.question, last.typed, last.staged, self.model.name)
        with self.autosave.watching(self.conversation, running) as watch:
            watch.send(last.question)
            turn = self.answer(watch, [*map(Staged, last.attached)], self.conversation.turns[:-1])
        self.end(turn, running.answer)

    def undo(self) -> Turn:
        """Take the last turn back; what was staged for it waits again."""
        turn = self.conversation.last
        self.conversation.turns = self.conversation.turns[:-1]
        self.staged = [*map(Staged, turn.attached), *self.staged]
        self.changed()
        self.save_changes()
        return turn

    def answer(self, watch: TurnWriter, staged: Sequence[Staged], before: Sequence[Turn], reading: float = 0.0) -> Turn:
        """Let the model answer the running question, show it, and add the turn to those ``before`` it.

        From Enter on, its media took ``reading`` seconds; the numbers count them, but not the loading of the model.
        """
        with self.no_echo():
            engine = self.model.wait()
        running = watch.running
        question = without_lost(running.question)
        if not question.text.strip() and not self.quiet:
            self.console.note(f"no question given; using “{DEFAULT_INSTRUCTION}”")
        earlier = replace(self.conversation, turns=list(before))
        messages = earlier.messages(question)
        with self.no_echo():
            self.listen(engine, watch, messages, staged)
        answer = running.answer
        cut = answer.done is None
        self.stopped = cut and answer.unshown is None
        if cut and not answer.text.strip():
            raise answer.unshown or Interrupted
        turn = replace(
            running.turn(),
            cut=cut,
            usage=answer.done.usage if answer.done else answer.usage_so_far(self.model.count),
            timing=answer.done.timing.after(reading) if answer.done else Timing(),
            found=earlier.placed(marked(answer), running.question),
            finish=answer.done.reason if answer.done else "",
        )
        self.conversation.turns = [*before, turn]
        self.reasoning = answer.reasoning or self.reasoning
        self.ended = answer.done
        return turn

    def turn_object(self, turn: Turn, answer: Answer) -> dict[str, Any]:
        """An answer as an object for programs, with the media of its question."""
        done, media = answer.done or Done("canceled", turn.usage, turn.timing), answer.started.media
        reply = Reply(turn.answer, done.reason, turn.usage, turn.timing, media, turn.reasoning)
        reply = replace(reply, stop=done.stop, incomplete=done.incomplete, found=marked(answer))
        return reply_object(reply, turn.model, len(media) - len(turn.question.media))

    def listen(self, engine: Engine, watch: TurnWriter, messages: Sequence[Message], staged: Sequence[Staged]) -> None:
        """Show an answer while it comes. The user may stop it; then it has no end.

        Nothing of it is shown before the question is on the disk, or could not be put there.
        """
        question, answer = messages[-1], watch.running.answer
        view = self.view()
        status = self.console.status("Reading the prompt")
        try:
            with (
                Interruptible() as waiting,
                engine.stream(messages, self.settings.sampling) as events,
            ):
                for event in waiting.each(events):
                    if not answer.pieces and isinstance(event, (TextDelta, ReasoningDelta)):
                        watch.wait()
                        self.autosave.report()
                    answer.take(event)
                    match event:
                        case Started():
                            status.stop()
                            self.echo_question(event, question, staged)
                            status = self.console.status("Reading the prompt")
                        case TextDelta(text) | ReasoningDelta(text) if text:
                            status.stop()
                            with answer.showing():
                                view.show(event)
                        case _:
                            pass
                    if answer.unshown:
                        break
        except KeyboardInterrupt:
            pass
        except ContextOverflow as error:
            videos = any(medium.kind == "video" for medium in question.media)
            if self.piped:
                less = "--video-frames 8 takes fewer frames" if videos else "--max-edge 768 makes images smaller"
                raise ContextOverflow(error.message, f"Ask fewer lines at once; {less}.") from error
            less = "take fewer frames: /set frames 8" if videos else "send smaller media: /set max_edge 768"
            raise ContextOverflow(error.message, f"{self.context_usage.remedy}, or {less}") from error
        finally:
            status.stop()
            with answer.showing():
                view.close()

    def view(self) -> View:
        """How the answer is shown."""
        if self.json:
            return Unseen()
        display = self.settings.display
        if self.redraw and display.markdown and self.console.stdout is not None and self.console.stdout.isatty():
            from ..terminal.rendered import RenderedView

            return RenderedView(self.console, display.thoughts, display.theme)
        return PlainView(self.console, display.thoughts, named=not self.redraw)

    def echo_question(self, started: Started, question: Message, staged: Sequence[Staged]) -> None:
        """Say what the model gets of media that were not announced yet, and when there is little room to answer."""
        reports_before = [item.report for item in staged if isinstance(item.medium, Media)]
        known = reports_before + [None] * (len(question.media) - len(reports_before))
        reports = started.media[len(started.media) - len(question.media) :]
        for number, (medium, before, report) in enumerate(zip(question.media, known, reports, strict=False), start=1):
            if before is None:
                self.echo(number, Staged(medium, report))
        self.previews.sent(question.media, self.settings.display.preview)
        left = None if self.model.context is None else self.model.context - started.prompt_tokens
        if left is not None and left < LITTLE and not self.quiet:
            self.console.note(f"only {left:,} tokens of the context are left for the answer")

    def end(self, turn: Turn, answer: Answer) -> None:
        """A turn is over and kept: say how it went. Raises what kept its text from being written."""
        self.autosave.report()
        if self.json:
            show = show_object if self.one else show_line
            show(self.turn_object(turn, answer), self.console)
        self.show_end(turn, answer.done)
        if answer.unshown:
            raise answer.unshown

    def show_end(self, turn: Turn, done: Done | None) -> None:
        """Say how the answer ended, its numbers, and that the context is nearly full."""
        if self.quiet:
            return
        if not turn.answer.strip():
            self.console.note("the answer is empty" + ("" if self.piped else "; /retry asks again"))
        usage = self.context_usage
        if done is None:
            self.console.note("stopped; the answer is kept, /retry asks again")
        elif done.reason == "length" and not (self.piped and done.incomplete):
            more = "--max-tokens N allows more" if self.piped else "/set max_tokens N allows more"
            allows = "the context is full" if usage.share >= 1 else more
            self.console.note(f"the answer was cut after {turn.usage.completion_tokens:,} tokens: {allows}")
        if done is not None and self.settings.display.stats and (self.console.watched or self.console.verbose):
            self.console.stats(stats_line(turn.usage, turn.timing, self.console.room))
        if usage.share >= NEARLY:
            remedy = "ask fewer lines at once" if self.piped else usage.remedy
            self.console.note(f"the context is {min(1.0, usage.share):.0%} full ({usage}): {remedy}")

    @property
    def context_usage(self) -> ContextUsage:
        """How full the context is."""
        return ContextUsage(self.conversation, self.model.context)

    # Keeping

    def save_changes(self) -> None:
        """Save after a change without a question; an empty conversation gets no file."""
        if self.conversation.turns or self.store.holds(self.conversation):
            self.autosave.keep(self.conversation)
        self.autosave.report()

    def check_saved(self) -> None:
        """Before another conversation: raise ``OptionError`` once if this one could not be saved."""
        if not self.autosave.may_discard(self.conversation, "part"):
            raise OptionError(str(self.autosave.failure), f"{RESCUE}; once more goes on without it.")

    def resume(self, conversation: Conversation) -> None:
        """Continue another conversation. Raises ``MediaError`` where this model cannot read its media."""
        before = self.conversation
        self.conversation = conversation
        try:
            if self.model.loading is not None:
                _, conversation.turns = self.read_for(self.model.family, self.model.title)
                conversation.model = self.model.remembered(self.model.loading.options)
        except BaseException:
            self.conversation = before
            raise

    def close(self) -> None:
        """Close the model."""
        self.model.close()


def marked(answer: Answer) -> Found:
    """The boxes and points in an answer: what a server says of them, which alone knows how its model counts."""
    said = None if answer.done is None else answer.done.found
    return find(answer.text, answer.started.media) if said is None else said
