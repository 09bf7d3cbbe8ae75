"""The line a person types: keys, completion, history, and the toolbar below."""

from __future__ import annotations

from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

from ..conversation.store import Store
from ..errors import MistralrsError
from ..terminal.console import Console
from ..terminal.encoding import writable
from .attachments import name
from .chat import Chat
from .commands import paste, thought
from .completion import ChatCompleter
from .lines import is_open

NARROW = 60
STYLE = Style.from_dict({"bottom-toolbar": "noreverse fg:#767676", "prompt": "bold"})


class Prompt:
    """Reads lines on a terminal. ``plain`` is for screen readers: one line of text, no toolbar, no menus."""

    def __init__(self, chat: Chat, *, plain: bool) -> None:
        self.chat = chat
        self.leaving = False  # Ctrl-C was pressed with nothing typed since
        self.session: PromptSession[str] = PromptSession(
            message=[("class:prompt", "> ")],
            multiline=True,
            prompt_continuation="  ",
            key_bindings=self.keys(),
            completer=ChatCompleter(chat),
            complete_while_typing=Condition(lambda: not plain and is_command_word(get_app().current_buffer.text)),
            complete_style=CompleteStyle.READLINE_LIKE if plain else CompleteStyle.COLUMN,
            history=history(chat.store),
            bottom_toolbar=None if plain else self.toolbar,
            reserve_space_for_menu=0 if plain else 5,
            style=STYLE,
            input=keyboard(),
            output=screen(chat.console),
        )
        self.session.default_buffer.on_text_changed += self.stay
        chat.changed = self.session.app.invalidate

    def read(self, begun: str = "") -> str:
        """The next line, which begins with what is to be edited. Raises ``EOFError`` when the user leaves."""
        self.leaving = False
        return self.session.prompt(default=begun)

    def stay(self, _: object) -> None:
        """Something was typed."""
        if self.session.default_buffer.text:
            self.leaving = False

    def keys(self) -> KeyBindings:
        """What keys do beyond the usual ones of Emacs."""
        keys = KeyBindings()
        typing = ~is_searching  # in a search (Ctrl-R) Enter takes what was found, and Ctrl-C gives it up

        @keys.add("enter", filter=typing)
        def _(event: KeyPressEvent) -> None:
            if is_open(event.current_buffer.text):
                event.current_buffer.insert_text("\n")
            else:
                event.current_buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=typing)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add("c-c", filter=typing)
        def _(event: KeyPressEvent) -> None:
            if self.leaving and not event.current_buffer.text:
                event.app.exit(exception=EOFError)
                return
            event.current_buffer.reset()
            self.leaving = True
            run_in_terminal(lambda: self.chat.console.tell("Ctrl-C again, or Ctrl-D, leaves", dim=True))

        @keys.add("c-d", filter=typing & Condition(lambda: not get_app().current_buffer.text))
        def _(event: KeyPressEvent) -> None:
            event.app.exit(exception=EOFError)

        @keys.add("c-v")
        def _(event: KeyPressEvent) -> None:
            run_in_terminal(self.paste)

        @keys.add("c-t")
        def _(event: KeyPressEvent) -> None:
            run_in_terminal(lambda: thought(self.chat, ""))

        return keys

    def paste(self) -> None:
        """Attach a picture from the clipboard."""
        try:
            paste(self.chat, "")
        except MistralrsError as error:
            self.chat.console.error(error.message, error.hint)

    def toolbar(self) -> StyleAndTextTuples:
        """Model, what is attached, and how full the context is."""
        chat = self.chat
        narrow = get_app().output.get_size().columns < NARROW
        state = chat.model.name.rpartition("/")[2] if narrow else chat.model.name
        if chat.model.failed:
            state += " could not be loaded"
        elif chat.model.engine is None:
            state += " is loading…"
        parts = [state]
        if chat.staged:
            names = ", ".join(name(item.medium.source) for item in chat.staged)
            parts.append(f"{len(chat.staged)} attached" + ("" if narrow or len(names) > 50 else f": {names}"))
        if chat.model.context is not None:
            parts.append(f"{chat.filling.share:.0%} of context" if narrow else f"context {chat.filling}")
        return [("class:bottom-toolbar.text", " │ ".join(parts))]


def is_command_word(text: str) -> bool:
    """Whether a command is being typed, and nothing after it yet."""
    return text.startswith("/") and not any(letter.isspace() for letter in text)


class Lines(FileHistory):
    """Lines in a file. One that cannot be written, on a full disk say, is remembered for this chat."""

    def store_string(self, string: str) -> None:
        """Write a line."""
        with suppress(OSError):
            super().store_string(string)


def history(store: Store) -> History:
    """The lines of all chats, or of this one where they cannot be kept."""
    try:
        return Lines(str(store.history))
    except OSError:
        return InMemoryHistory()


def keyboard() -> Input:
    """Where keys come from."""
    return create_input()


def screen(console: Console) -> Output:
    """Where the line is drawn: stdout where it is a terminal, else stderr. Libraries are kept from descriptor 1."""
    stdout = console.stdout
    seen = stdout if stdout is not None and stdout.isatty() else console.stderr.file
    return create_output(stdout=writable(seen))  # type: ignore[arg-type]
