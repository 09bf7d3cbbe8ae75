"""The commands of the chat: one function each, found by the word after the slash."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..conversation import Conversation, LostMedia
from ..errors import OptionError
from ..messages import Media, Modality, TextFile
from ..terminal.render import rate
from . import clipboard
from .aliases import ALIASES, meant
from .chat import Chat
from .chat_files import draw, load, save, write_export
from .editor import edit_text
from .names import name
from .settings import shown


class Exit(Exception):
    """The user wants to go."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A line for the user to edit, or one to ``send`` in place of the last question."""

    text: str
    send: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What a command does with the words after it. It may return a draft."""

    run: Callable[[Chat, str], Draft | None]
    takes: str
    does: str


def perform(chat: Chat, line: str) -> Draft | None:
    """Do what a line that begins with a slash asks for; a draft, if that is what comes of it.

    Raises ``OptionError`` for a command there is not, and whatever the command raises.
    """
    word, _, rest = line.partition(" ") if "\n" not in line.partition(" ")[0] else line.partition("\n")
    name = word.lower()
    command = COMMANDS.get(ALIASES.get(name, name))
    if command is None:
        close = meant(name, COMMANDS)
        raise OptionError(f"There is no command {word}.", f"Did you mean {close}?" if close else "/help lists them.")
    return command.run(chat, rest.strip())


def show_help(chat: Chat, words: str) -> None:
    """List the commands."""
    width = max(len(f"{word} {command.takes}") for word, command in COMMANDS.items())
    lines = [f"{f'{word} {command.takes}':<{width}}  {command.does}" for word, command in COMMANDS.items()]
    chat.console.show("\n".join(lines) + "\n" + KEYS)


KEYS = """
Name a file anywhere in a line to give it to the model there: what is in photo.jpg?
@notes.txt, or /file, puts a text file into it.
Enter sends, Alt-Enter starts a new line, \"\"\" begins and ends a text of several lines. Tab completes.
Ctrl-C stops an answer, or clears the line, or leaves when pressed twice. Ctrl-D leaves. Ctrl-R searches.
Ctrl-V attaches an image from the clipboard. Ctrl-T shows the model's reasoning. Ctrl-Z suspends.
A long paste is folded; Ctrl-O unfolds it. /quit, /q, /bye and exit leave as well."""


def leave(chat: Chat, words: str) -> None:
    """End the chat."""
    raise Exit


def clear(chat: Chat, words: str) -> None:
    """Start over; the old conversation stays among the sessions."""
    chat.check_saved()
    system, model = chat.conversation.system, chat.conversation.model
    chat.conversation = Conversation(system=system, model=model)
    chat.console.note("a new conversation" + (" with the same instructions" if system else ""))


def system(chat: Chat, words: str) -> None:
    """Set, show or remove the instructions."""
    if words:
        chat.conversation.instruct("" if words == "off" else words)
        chat.save_changes()
    now = chat.conversation.system
    chat.console.show("no instructions" if now is None else f"instructions: {now.text}")


def change(chat: Chat, words: str) -> None:
    """Show all settings, or change one."""
    key, _, value = words.replace("=", " ", 1).partition(" ")
    if not key:
        chat.console.show("\n".join(chat.settings.lines(chat.console.room)))
    else:
        chat.console.show(chat.settings.set(key, value.strip()))


def change_one(key: str, chat: Chat, words: str) -> None:
    """Change a setting that has a command of its own; alone, show it, and what it is where nothing was set."""
    line = chat.settings.set(key, words)
    engine = chat.model.engine
    if not words and chat.model.server is not None and getattr(chat.settings.sampling, key) is None:
        line = f"{key} = the server's own"
    elif not words and engine is None and getattr(chat.settings.sampling, key) is None:
        line = f"{key} = the model's own, once it is loaded"
    elif not words and engine is not None and getattr(chat.settings.sampling, key) is None:
        own = getattr(engine.sampling_params(chat.settings.sampling), key)
        line = f"{key} = {shown(own)}, the model's own"
    chat.console.show(line)


def attach(kind: Modality, chat: Chat, words: str) -> None:
    """Stage media by their names."""
    with chat.no_echo():
        chat.stage(chat.attachments.named(kind, words, chat.settings.media, chat.model.family, chat.model.title))


def attach_text(chat: Chat, words: str) -> None:
    """Stage texts by their names."""
    with chat.no_echo():
        chat.stage_texts(chat.attachments.texts(words, chat.model.family))


def paste(chat: Chat, words: str) -> None:
    """Stage what is on the clipboard."""
    from ..media.clipboard import media

    chat.stage(media())


def list_media(chat: Chat, words: str) -> None:
    """List media that are staged, and those the model has."""
    sent = [
        name(part.source) + (" (left out)" if isinstance(part, LostMedia) else "")
        for turn in chat.conversation.turns
        for part in turn.question.parts
        if isinstance(part, (Media, TextFile))
    ]
    if not chat.staged and not sent:
        chat.console.show("no media; name a file in your question, or /image PATH")
    for number, item in enumerate(chat.staged, start=1):
        chat.echo(number, item)
    if sent:
        chat.console.show("in the conversation: " + ", ".join(sent))


def drop(chat: Chat, words: str) -> None:
    """Unstage a medium, or all."""
    if not chat.staged:
        raise OptionError("Nothing is attached.", "/image PATH attaches an image.")
    if words == "all":
        chat.staged.clear()
    else:
        number = int(words) if words.isdecimal() else len(chat.staged) if not words else 0
        if not 1 <= number <= len(chat.staged):
            raise OptionError(f"There is no attachment {words}.", f"/media lists 1 to {len(chat.staged)}; or /drop all")
        del chat.staged[number - 1]
    chat.changed()
    list_media(chat, "")


def undo(chat: Chat, words: str) -> Draft:
    """Take the last turn back; its line may be edited."""
    turn = chat.undo()
    chat.console.note("removed the last question and its answer")
    return Draft(turn.typed)


def retry(chat: Chat, words: str) -> None:
    """Ask the last question again."""
    chat.again()


def edit(chat: Chat, words: str) -> Draft | None:
    """Write a question in the editor, beginning with the last one, which it replaces."""
    typed = chat.conversation.turns[-1].typed if chat.conversation.turns else ""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor is None:
        chat.console.note("EDITOR is not set, so the question is edited here")
        return undo(chat, "") if typed else None
    with chat.released():
        text = edit_text(editor, typed, chat.console)
    if not text.strip() or text == typed:
        chat.console.note("nothing was changed")
        return None
    return Draft(text, send=True)


def stats(chat: Chat, words: str) -> None:
    """Numbers of the whole chat."""
    turns = chat.conversation.turns
    answers = sum(turn.usage.completion_tokens for turn in turns)
    timed = [turn for turn in turns if turn.timing.total]
    seconds = sum(turn.timing.total - turn.timing.first_token for turn in timed)
    tokens = sum(max(0, turn.usage.completion_tokens - 1) for turn in timed)
    reused = sum(turn.usage.cached_tokens for turn in turns)
    prompts = sum(turn.usage.prompt_tokens for turn in turns)
    lines = [
        f"model    {chat.model.place}",
        f"context  {chat.context_usage}",
        f"turns    {len(turns)}, media {len(chat.conversation.media)}",
        f"answers  {answers:,} tokens{rate(tokens / seconds if seconds else 0.0)}",
        f"prompts  {prompts:,} tokens, {reused:,} of them reused",
    ]
    if timed:
        lines.append(f"last     first token {timed[-1].timing.first_token:.2f} s, all {timed[-1].timing.total:.2f} s")
    lines.append(f"session  {chat.conversation.id}")
    chat.console.show("\n".join(lines))


def model(chat: Chat, words: str) -> None:
    """List the models on this disk, or switch to another."""
    if words:
        chat.switch(words)
        doing = "loading" if chat.model.server is None else "asking"
        chat.console.note(f"{doing} {chat.model.title}; the conversation continues")
    else:
        from .models import listing

        chat.console.show(listing(chat.model))


def copy(chat: Chat, words: str) -> None:
    """Put the last answer, or the last code block of it, on the clipboard."""
    answer = chat.conversation.last.answer.lstrip("\n").rstrip()
    if words and words != "code":
        raise OptionError(f"/copy does not know {words}.", "/copy takes the last answer, /copy code its last block.")
    text = last_block(answer) if words else answer
    if text is None:
        raise OptionError("The last answer holds no code block.", "/copy alone takes the whole answer.")
    chat.console.note(clipboard.copy(text, chat.console))


def last_block(answer: str) -> str | None:
    """The text of the last fenced code block, which the end of the answer may close."""
    blocks = re.findall(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)(?:^ {0,3}\1|\Z)", answer, re.MULTILINE | re.DOTALL)
    return blocks[-1][1].removesuffix("\n") if blocks else None


def thought(chat: Chat, words: str) -> None:
    """Show the model's reasoning before its last answer."""
    chat.console.show(chat.reasoning.strip() or "no reasoning; /set thinking on turns it on", dim=True)


COMMANDS = {
    "/help": Command(show_help, "", "this list"),
    "/image": Command(partial(attach, "image"), "PATH…", "attach images to the next question; patterns work: *.jpg"),
    "/audio": Command(partial(attach, "audio"), "PATH…", "attach audio"),
    "/video": Command(partial(attach, "video"), "PATH…", "attach videos"),
    "/file": Command(attach_text, "PATH…", "put text files into the next question"),
    "/paste": Command(paste, "", "attach an image from the clipboard"),
    "/media": Command(list_media, "", "list what is attached"),
    "/drop": Command(drop, "N|all", "detach one medium, or all"),
    "/undo": Command(undo, "", "remove the last question and its answer"),
    "/retry": Command(retry, "", "ask the last question again"),
    "/edit": Command(edit, "", "change the last question in $EDITOR and ask it again"),
    "/clear": Command(clear, "", "start a new conversation"),
    "/system": Command(system, "TEXT|off", "instructions for the model"),
    "/temperature": Command(partial(change_one, "temperature"), "F", "randomness of the answers"),
    "/topk": Command(partial(change_one, "top_k"), "N", "sample from the N most likely tokens"),
    "/topp": Command(partial(change_one, "top_p"), "F", "sample from tokens adding up to this probability"),
    "/set": Command(change, "KEY VALUE", "any setting; alone: list them"),
    "/stats": Command(stats, "", "numbers of this chat"),
    "/copy": Command(copy, "[code]", "copy the last answer, or its last code block"),
    "/draw": Command(draw, "[FILE]", "draw the boxes and points of the last answer into its image"),
    "/thought": Command(thought, "", "the model's reasoning before its last answer"),
    "/model": Command(model, "NAME", "switch to another model; alone: list those on this disk"),
    "/save": Command(save, "FILE", "save the chat and its media to one file"),
    "/load": Command(load, "FILE|ID", "continue a saved chat; alone: choose one"),
    "/export": Command(write_export, "FILE", "write the chat as .md, .txt, .html or .json"),
    "/exit": Command(leave, "", "leave"),
}
"""Every command, in the order of ``/help``."""
