"""A conversation: questions and answers so far, without a screen, a model or a disk."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any

from ..errors import OptionError
from ..events import Timing, Usage
from ..grounding import Found
from ..messages import Media, MediaRef, Message, Text, TextFile, ToolCall, media_of

CUT = " … [interrupted by the user]"
"""What the model reads at the end of an answer that the user stopped."""

TITLE = 60
NAME = 60
OPENING = tuple("([{¿¡#")


@dataclass(frozen=True, slots=True)
class LostMedia(MediaRef):
    """A medium whose bytes are gone, or cannot be decoded any more."""

    @classmethod
    def of(cls, medium: Media) -> LostMedia:
        """The name of a medium, and nothing behind it."""
        return cls(medium.kind, medium.source, options=medium.options, place=medium.place, digest=medium.digest)


@dataclass(frozen=True, slots=True)
class ToolRound:
    """Tools that the model called before it answered, after some ``text``, and what each returned.

    ``results`` is ``None`` as long as that is not known.
    """

    text: str
    calls: tuple[ToolCall, ...]
    results: tuple[str, ...] | None = None

    @property
    def lines(self) -> list[str]:
        """The round to be read: what was said, then each call with its arguments and what it returned."""
        results = self.results or ("",) * len(self.calls)
        calls = zip(self.calls, results, strict=False)
        said = [self.text] if self.text else []
        return said + [f"{call.name} {call.arguments}{f' → {result}' if result else ''}" for call, result in calls]

    @property
    def messages(self) -> tuple[Message, ...]:
        """The round as the model reads it; nothing where it has no results."""
        if self.results is None:
            return ()
        asked = Message("assistant", (Text(self.text),) if self.text else (), tool_calls=self.calls)
        given = zip(self.calls, self.results, strict=False)
        return asked, *(
            Message("tool", (Text(result),), tool_call_id=call.id, name=call.name) for call, result in given
        )


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A question and its answer.

    ``typed`` is the line as it was typed; the first ``staged`` media and texts of the question were attached
    beforehand, the others are named in the line. ``asked`` is the question as the model reads it: words stand for
    media that are lost. ``reply`` is the answer as it reads it in later turns: without its thoughts, marked where it
    was cut. Both are one object for the life of the turn. ``rounds`` of tools came before the answer; ``found`` are
    the boxes and points in it, whose ``media`` counts those of the conversation. ``finish`` is why it ended, such as
    ``length``; empty where that is not known.
    """

    question: Message
    answer: str
    typed: str = ""
    staged: int = 0
    cut: bool = False
    reasoning: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    timing: Timing = field(default_factory=Timing)
    rounds: tuple[ToolRound, ...] = ()
    found: Found = field(default_factory=Found)
    finish: str = ""
    asked: Message = field(init=False)
    reply: Message = field(init=False)
    called: tuple[Message, ...] = field(init=False)

    def __post_init__(self) -> None:
        answer = self.answer
        if not answer and self.rounds and self.rounds[-1].results is None:
            answer = self.rounds[-1].text  # its calls came to nothing
        object.__setattr__(self, "asked", without_lost(self.question))
        object.__setattr__(self, "called", tuple(one for round in self.rounds for one in round.messages))
        object.__setattr__(self, "reply", Message("assistant", (Text(answer + (CUT if self.cut else "")),)))

    @property
    def attached(self) -> tuple[Media | TextFile, ...]:
        """The media and texts that were staged for the question and are still there."""
        parts = [part for part in self.question.parts if isinstance(part, (Media, TextFile))][: self.staged]
        return tuple(part for part in parts if not isinstance(part, LostMedia))


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a conversation leaves another, ``of`` by its id: from turn ``at``, counted from 0, it has its own."""

    of: str
    at: int


@dataclass(eq=False)
class Conversation:
    """Turns in order, and the instructions before them. ``model`` holds the options the model was loaded with.

    ``branch`` says which conversation it was before an earlier question was asked otherwise.
    """

    id: str = ""
    created: str = ""
    system: Message | None = None
    turns: list[Turn] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    branch: Branch | None = None

    def __post_init__(self) -> None:
        now = datetime.now().astimezone()
        self.created = self.created or now.isoformat(timespec="seconds")
        self.id = self.id or f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"

    def messages(self, question: Message | None = None) -> list[Message]:
        """All of it as the model is given it, with one more question if there is one.

        Messages of earlier turns are the same objects every time, so that what is known about them can be reused.
        """
        listed = [] if self.system is None else [self.system]
        for turn in self.turns:
            listed += [turn.asked, *turn.called, turn.reply]
        return listed if question is None else [*listed, question]

    def instruct(self, text: str) -> None:
        """Set the instructions; none when the text is empty."""
        self.system = Message("system", (Text(text),)) if text.strip() else None

    @property
    def last(self) -> Turn:
        """The last turn. Raises ``OptionError`` where there is none."""
        if not self.turns:
            raise OptionError("No question has been asked yet.", "Ask something first.")
        return self.turns[-1]

    def placed(self, found: Found, question: Message) -> Found:
        """Boxes and points of an answer to one more question, whose ``media`` count those that are not lost."""
        media = (*self.media, *question.media)
        given = [number for number, medium in enumerate(media) if not isinstance(medium, LostMedia)]
        return replace(
            found,
            boxes=tuple(replace(one, media=given[one.media]) for one in found.boxes),
            points=tuple(replace(one, media=given[one.media]) for one in found.points),
        )

    def change_media(self, change: Callable[[Media], Media]) -> None:
        """Replace every medium, for a model that wants them decoded otherwise. Where one fails nothing changes."""
        self.turns = [replace(turn, question=with_media(turn.question, change)) for turn in self.turns]

    @property
    def media(self) -> tuple[Media, ...]:
        """Every medium in order."""
        return media_of(turn.question for turn in self.turns)

    @property
    def tokens(self) -> int:
        """How much of the context the last turn filled, its answer included."""
        last = self.turns[-1].usage if self.turns else Usage()
        return last.prompt_tokens + last.completion_tokens

    @property
    def title(self) -> str:
        """The first question in a few words, its media by the last part of their names."""
        if not self.turns:
            return ""
        words, after_medium = "", False
        for part in self.turns[0].question.parts:
            if isinstance(part, TextFile):
                continue
            text = short_name(part) if isinstance(part, Media) else part.text
            # words that follow a medium at once, as after /image, must not run into its name; a "?" may
            apart = after_medium and (isinstance(part, Media) or text[:1].isalnum() or text[:1] in OPENING)
            words += f" {text}" if apart else text
            after_medium = isinstance(part, Media)
        files = [PurePath(part.source).name for part in self.turns[0].question.parts if isinstance(part, TextFile)]
        words = " ".join(words.split()) or ", ".join(files)
        return words if len(words) <= TITLE else words[: TITLE - 1] + "…"


def short_name(medium: Media) -> str:
    """What a medium is called in a line: the last part of its source."""
    if medium.source[:5].lower() == "data:":
        return medium.kind
    path = medium.source.partition("?")[0] if "://" in medium.source else medium.source
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2] or medium.kind
    return name if len(name) <= NAME else f"{name[: NAME // 2]}…{name[-NAME // 2 + 1 :]}"


def without_lost(message: Message) -> Message:
    """A message in which words stand for media that are lost; the same object where none is."""
    if not any(isinstance(medium, LostMedia) for medium in message.media):
        return message
    parts = tuple(
        Text(f"[{part.kind} {short_name(part)}: no longer available]") if isinstance(part, LostMedia) else part
        for part in message.parts
    )
    return replace(message, parts=parts)


def with_media(message: Message, change: Callable[[Media], Media]) -> Message:
    """A message with other media in the same places."""
    if not message.media:
        return message
    return replace(message, parts=tuple(change(part) if isinstance(part, Media) else part for part in message.parts))
