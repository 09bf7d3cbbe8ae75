"""What Tab completes: commands, their arguments, and the names of media."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, get_common_complete_suffix
from prompt_toolkit.document import Document

from ..conversation.store import Store
from ..media.lookup import folded
from ..media.suffixes import suggested
from .aliases import ALIASES
from .chat import Chat
from .commands import COMMANDS
from .models import names
from .settings import SETTINGS

WORD = re.compile(r"(?:\\.|[^\s\\])*\\?$")
ESCAPED = re.compile(r"([\s\\'\"()\[\]{}&;|<>*?!$`#])")
MEDIA_COMMANDS = {"/image": "image", "/audio": "audio", "/video": "video"}


class ChatCompleter(Completer):
    """Completes the line of a chat."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may stand at the cursor."""
        text = document.text_before_cursor
        command, space, rest = text.partition(" ")
        command = ALIASES.get(command.lower(), command.lower())
        if text.startswith("/") and not space:
            yield from (
                Completion(word + " " * bool(known.takes), -len(text), display=word, display_meta=known.does)
                for word, known in COMMANDS.items()
                if word.startswith(text.lower())
            )
            yield from paths(text, None) if complete_event.completion_requested else ()
            return
        match command:
            case "/set":
                yield from settings(rest)
            case "/system":
                yield from fitting(rest, ["off"])
            case "/copy":
                yield from fitting(rest, ["code"])
            case "/drop":
                yield from fitting(rest, ["all", *(str(number + 1) for number in range(len(self.chat.staged)))])
            case "/load":
                yield from kept_chats(rest, self.chat.store)
                yield from paths(rest, "json")
            case "/model":
                yield from fitting(rest, names(self.chat.model))
                yield from paths(rest, "")
            case "/save" | "/export":
                yield from paths(rest, "json")
            case "/file":
                yield from paths(text, "text")
            case _ if command in MEDIA_COMMANDS:
                yield from paths(text, MEDIA_COMMANDS[command])
            case _ if command not in COMMANDS and complete_event.completion_requested:
                yield from paths(text, None)


def settings(begun: str) -> Iterator[Completion]:
    """The keys of ``/set``, or the values of one."""
    key, space, value = begun.partition(" ")
    if not space:
        yield from fitting(begun, [f"{known} " for known in SETTINGS])
    elif key.lower() in SETTINGS:
        yield from fitting(value, [*SETTINGS[key.lower()].values, "default"])


def fitting(begun: str, words: Iterable[str]) -> Iterator[Completion]:
    """The words that begin so."""
    return (Completion(word, -len(begun)) for word in words if word.lower().startswith(begun.lower()))


def kept_chats(begun: str, store: Store) -> Iterator[Completion]:
    """The ids of kept conversations that begin so, or that have this in their first question."""
    for chat in store.summaries():
        if chat.id.startswith(begun.lower()) or begun.lower() in chat.title.lower():
            yield Completion(chat.id, -len(begun), display_meta=chat.title)


def paths(text: str, kind: str | None) -> Iterator[Completion]:
    """Files and folders whose path begins with the last word: media of a kind, of any (``None``), or ``kind`` files.

    A name in open quotes is completed as it is; elsewhere its spaces and signs are escaped. After ``@`` it may be any
    file. A space follows the name of a file, and the quote that closes it.
    """
    quote = next((sign for sign in "\"'" if text.count(sign) % 2 and text.rpartition(sign)[0][-1:].strip() == ""), "")
    match = WORD.search(text)
    typed = text.rpartition(quote)[2] if quote else match.group() if match else ""
    if typed.startswith("@"):
        typed, kind = typed[1:], "text"
    elif quote and text[: -len(typed) - 1].endswith("@"):
        kind = "text"
    raw = typed if quote else re.sub(r"\\(.)", r"\1", typed.removesuffix("\\"))
    start = raw.rpartition("/")[2]
    shown = raw[: len(raw) - len(start)]
    base = Path(os.path.expanduser(shown) or ".")  # noqa: PTH111 - Path.expanduser raises where there is no such user
    try:
        entries = sorted(base.iterdir(), key=lambda entry: entry.name.lower())
    except (OSError, ValueError):
        return
    for entry in entries:
        name = entry.name
        if not folded(name).startswith(folded(start)) or (name.startswith(".") and not start.startswith(".")):
            continue
        try:
            is_folder = entry.is_dir()
            is_wanted = is_folder or (wanted(name, kind) and entry.is_file())
        except OSError:
            continue
        if is_wanted:
            whole = shown + name + ("/" if is_folder else "")
            written = whole if quote else ESCAPED.sub(r"\\\1", whole)
            end = "" if is_folder else f"{quote} "
            yield Completion(written + end, -len(typed), display=name + ("/" if is_folder else ""))


def wanted(name: str, kind: str | None) -> bool:
    """Whether a file of this name is of the kind asked for."""
    match kind:
        case None:
            return suggested(name) is not None
        case "image" | "audio" | "video":
            return suggested(name) == kind or (kind == "video" and name.lower().endswith((".gif", ".webp")))
        case "text":
            return True
        case "":
            return False
        case _:
            return name.lower().endswith(f".{kind}")


def complete(buffer: Buffer) -> None:
    """What Tab does: insert the one completion or what all have in common, else choose among them in a menu."""
    state = buffer.complete_state
    if state is not None and len(state.completions) > 1:
        buffer.complete_next()
        return
    buffer.cancel_completion()
    event = CompleteEvent(completion_requested=True)
    found = list(buffer.completer.get_completions(buffer.document, event))
    if len(found) == 1:
        buffer.apply_completion(found[0])
    elif common := get_common_complete_suffix(buffer.document, found):
        buffer.insert_text(common)
    elif found:
        buffer.start_completion(select_first=False, complete_event=event)
