"""The commands for files of chats: ``/save``, ``/load``, ``/export`` and ``/draw``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..attach.server import report
from ..conversation import Conversation, LostMedia, export, without_lost
from ..conversation.disk import reason, replace_file
from ..conversation.store import read_file
from ..errors import MediaNotFound, MistralrsError, OptionError
from ..events import MediaReport
from ..grounding import Box, Found, Point, asked_about, find
from ..messages import DecodedMedia, Media, MediaBytes, decoded, media_of
from . import picker
from .chat import Chat


def save(chat: Chat, words: str) -> None:
    """Write the conversation with its media into one file. Only a file of the same chat is replaced."""
    path = target(words, f"chat-{chat.conversation.id}.json")
    if path.exists() and not holds(path, chat):
        raise there_already(path)
    if path.suffix.lower() in export.READABLE:
        raise OptionError(f"/save writes .json, which /load reads: {path}", f"To read it: /export {words}")
    write_form(path, ".json", chat)
    chat.autosave.exported(chat.conversation)


def load(chat: Chat, words: str) -> None:
    """Continue a conversation from a file or a session; without a name, one chosen from a list."""
    if not words:
        words = picker.pick(chat.store.summaries(), chat.console, redraws=chat.redraw) or ""
        if not words:
            return
    chat.check_saved()
    chat.resume(found(words, chat))
    chat.autosave.report()
    chat.console.note(f"{len(chat.conversation.turns)} turns of “{chat.conversation.title}”")


def found(words: str, chat: Chat) -> Conversation:
    """A conversation by the name of a file, as ``/save`` takes it, or by an id. Raises ``OptionError``."""
    for path in (located(words), target(words, "chat.json")):
        if path.is_file():
            return read_file(path, chat.store.keep)
    try:
        return chat.store.load(words)
    except OptionError as error:
        hint = "/load alone lists all chats; or name a file that /save has written."
        raise OptionError(error.message, hint) from error


def write_export(chat: Chat, words: str) -> None:
    """Write the conversation to read elsewhere; the name's suffix says how."""
    path = target(words, f"chat-{chat.conversation.id}.md")
    if path.exists():
        raise there_already(path)
    write_form(path, path.suffix, chat)


def draw(chat: Chat, words: str) -> None:
    """Draw the boxes and points of the last answer into the images that it is about."""
    from ..media import marking

    found, reports, media = marks_of_server(chat) if chat.model.server else marks(chat)
    path = target(words, f"chat-{chat.conversation.id}-{len(chat.conversation.turns)}.png")
    marking.check_target(path, [medium.source for medium in media if medium.kind == "image"])
    if words and path.exists():
        raise there_already(path)
    asked = [number for number, _, _ in asked_about(reports)]
    originals = {number: original(chat, media[number]) for number in asked or {one.media for one in each(found)}}
    for text in found.left_out:
        chat.console.note(text)
    for text in marking.remarks(marking.draw(found, reports, originals, path, chat.attachments.policy)):
        chat.console.note(text)


def each(found: Found) -> tuple[Box | Point, ...]:
    """Boxes and points."""
    return (*found.boxes, *found.points)


def marks(chat: Chat) -> tuple[Found, Sequence[MediaReport], Sequence[Media]]:
    """What the last answer marks, the media before it, and what is known of those."""
    turn = chat.conversation.last
    messages = replace(chat.conversation, turns=chat.conversation.turns[:-1]).messages(without_lost(turn.question))
    reports = chat.model.wait().report(messages).media
    return find(turn.answer, reports), reports, media_of(messages)


def marks_of_server(chat: Chat) -> tuple[Found, Sequence[MediaReport], Sequence[Media]]:
    """What a server said of its last answer, which only it can know. Raises ``OptionError`` where that is nothing."""
    found, media = chat.conversation.last.found, chat.conversation.media
    if not found:
        raise OptionError(
            "The server names no boxes or points in this answer, so nothing is drawn.",
            "mistralrs serve does, with a model that points.",
        )
    return found, [report(medium) for medium in media], media


def original(chat: Chat, medium: Media) -> MediaBytes | DecodedMedia:
    """A medium with its own bytes where they are kept, else as it was read. Raises ``MediaNotFound`` for a lost one."""
    try:
        return medium.as_bytes(chat.store.read(medium))
    except MediaNotFound:
        if isinstance(medium, LostMedia):
            raise
        return medium if isinstance(medium, MediaBytes) else decoded(medium)


def there_already(path: Path) -> OptionError:
    """What to say where a file would be overwritten."""
    return OptionError(f"{path} already exists.", "Name another file.")


def holds(path: Path, chat: Chat) -> bool:
    """Whether a file is this chat as it was saved before, or the beginning of it."""
    try:
        there = read_file(path, lambda data: "")
    except OptionError:
        return False
    begun = [(turn.typed, turn.answer) for turn in there.turns]
    turns = [(turn.typed, turn.answer) for turn in chat.conversation.turns]
    return there.id == chat.conversation.id or begun == turns[: len(begun)]


def target(words: str, otherwise: str) -> Path:
    """Where to write: a name without a suffix gets the usual one, a folder a file in it."""
    path = located(words or otherwise)
    if path.is_dir():
        return path / otherwise
    return path if path.suffix else path.with_suffix(Path(otherwise).suffix)


def located(words: str) -> Path:
    """A path as it is typed; ``~`` is the home of a user there is."""
    return Path(os.path.expanduser(words))  # noqa: PTH111 - Path.expanduser raises where there is no such user


def write_form(path: Path, suffix: str, chat: Chat) -> None:
    """Write the chat into a file, and say so. Raises ``MistralrsError`` where that fails."""
    data = export.Gathering(chat.store.read)
    text = export.as_form(chat.conversation, suffix, data)
    try:
        replace_file(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise MistralrsError(f"{path} cannot be written: {reason(error)}.", "Name another place.") from error
    for gone in data.gone:
        chat.console.note(gone)
    chat.console.note(f"written to {path}")
