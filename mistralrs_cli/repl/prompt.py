"""The line a person types: keys, completion, history, and the toolbar below."""

from __future__ import annotations

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.bindings.completion import display_completions_like_readline
from prompt_toolkit.keys import Keys
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

from ..errors import MistralrsError
from . import devices
from .chat import Chat
from .commands import paste, thought
from .completion import ChatCompleter, complete
from .history import history
from .keyboard import Keyboard
from .lines import clean, is_open
from .names import name
from .pastes import FoldedPastes, Pastes, is_long

NARROW = 60
SIGNS_AFTER = ",.;:!?)]"
"""Signs before which the space that Tab added goes away."""
STYLE = Style.from_dict({"bottom-toolbar": "noreverse fg:#767676", "prompt": "bold", "paste": "italic"})


class Prompt:
    """Reads lines on a terminal. ``plain`` is for screen readers: one line of text, no toolbar, no menus."""

    def __init__(self, chat: Chat, *, plain: bool) -> None:
        self.chat = chat
        self.plain = plain
        self.leaving = False  # Ctrl-C was pressed with nothing typed since
        self.spaced = (-1, "")  # the place and text after Tab has added a space
        self.pastes = Pastes()
        output = devices.screen(chat.console)
        self.keyboard = Keyboard(output, shown=chat.redraw and not plain)
        self.session: PromptSession[str] = PromptSession(
            message=[("class:prompt", "> ")],
            multiline=True,
            prompt_continuation="  ",
            key_bindings=self.keys(),
            completer=ChatCompleter(chat),
            complete_while_typing=Condition(lambda: not plain and is_command_word(get_app().current_buffer.text)),
            complete_style=CompleteStyle.READLINE_LIKE if plain else CompleteStyle.COLUMN,
            history=history(chat.store, self.whole),
            input_processors=[FoldedPastes(self.pastes)],
            enable_suspend=True,
            bottom_toolbar=None if plain else self.toolbar,
            reserve_space_for_menu=0 if plain else 5,
            style=STYLE,
            input=devices.keyboard(),
            output=output,
        )
        self.session.app.ttimeoutlen, self.session.app.timeoutlen = 0.1, 0.4  # Esc alone is over soon
        self.session.default_buffer.on_text_changed += self.stay
        chat.changed = self.session.app.invalidate

    def read(self, begun: str = "") -> str:
        """The next line, which begins with what is to be edited. Raises ``EOFError`` when the user leaves.

        What was typed ahead is a line of its own: then the one to be edited is left in the history.
        """
        self.leaving = False
        ahead = self.keyboard.take()
        if ahead and begun:
            begun = ""
            self.chat.console.show("more was typed meanwhile; press Up for the previous line", dim=True)
        store_typeahead(self.session.input, ahead)
        try:
            return self.whole(self.session.prompt(default=self.pastes.folded(begun)))
        finally:
            self.keyboard.apply()

    def whole(self, line: str) -> str:
        """A line as it is sent and kept: with its pastes whole, and no control characters."""
        return clean(self.pastes.whole(line))

    def stay(self, buffer: Buffer) -> None:
        """Something was typed; a control character that no key is bound to never gets into the line."""
        if buffer.text:
            self.leaving = False
        if (text := clean(buffer.text)) != buffer.text:
            buffer.document = Document(text, len(clean(buffer.document.text_before_cursor)))

    def keys(self) -> KeyBindings:
        """What keys do beyond the usual ones of Emacs."""
        keys = KeyBindings()
        typing = ~is_searching  # in a search (Ctrl-R) Enter takes what was found, and Ctrl-C gives it up

        @keys.add("enter", filter=typing)
        def _(event: KeyPressEvent) -> None:
            if is_open(self.whole(event.current_buffer.text)):
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
            run_in_terminal(lambda: self.chat.console.show("press Ctrl-C again, or Ctrl-D, to leave", dim=True))

        @keys.add("c-d", filter=typing & Condition(lambda: not get_app().current_buffer.text))
        def _(event: KeyPressEvent) -> None:
            event.app.exit(exception=EOFError)

        @keys.add("c-v")
        def _(event: KeyPressEvent) -> None:
            run_in_terminal(self.paste)

        @keys.add("c-t")
        def _(event: KeyPressEvent) -> None:
            run_in_terminal(lambda: thought(self.chat, ""))

        @keys.add(Keys.BracketedPaste)
        def _(event: KeyPressEvent) -> None:
            text = clean(event.data)
            event.current_buffer.insert_text(self.pastes.fold(text) if is_long(text) else text)

        @keys.add("c-o")
        def _(event: KeyPressEvent) -> None:
            document = event.current_buffer.document
            place = len(self.pastes.whole(document.text_before_cursor))
            event.current_buffer.document = Document(self.pastes.whole(document.text), place)

        @keys.add("tab", filter=typing)
        def _(event: KeyPressEvent) -> None:
            if self.plain:
                display_completions_like_readline(event)
            else:
                complete(event.current_buffer)
            self.spaced = (event.current_buffer.cursor_position, event.current_buffer.text)

        @keys.add("escape", filter=typing)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.cancel_completion()

        just_spaced = Condition(self.just_spaced)
        for sign in SIGNS_AFTER:

            @keys.add(sign, filter=typing & just_spaced)
            def _(event: KeyPressEvent) -> None:
                event.current_buffer.delete_before_cursor()
                event.current_buffer.insert_text(event.data)

        return keys

    def just_spaced(self) -> bool:
        """Whether Tab has just added a space, which gives way to a sign."""
        buffer = self.session.default_buffer
        before = buffer.document.text_before_cursor
        return self.spaced == (buffer.cursor_position, buffer.text) and before.endswith(" ")

    def paste(self) -> None:
        """Attach an image from the clipboard."""
        self.keyboard.apply()  # what is typed meanwhile is not echoed
        try:
            paste(self.chat, "")
        except MistralrsError as error:
            self.chat.console.error(error.message, error.hint)

    def toolbar(self) -> StyleAndTextTuples:
        """Model, what is attached, and how full the context is."""
        chat = self.chat
        narrow = get_app().output.get_size().columns < NARROW
        state = chat.model.title.rpartition("/")[2] if narrow else chat.model.title
        if chat.model.failed:
            state += " could not be loaded"
        elif chat.model.engine is None:
            state += " is loading…"
        parts = [state]
        if chat.staged:
            names = ", ".join(name(item.medium.source) for item in chat.staged)
            parts.append(f"{len(chat.staged)} attached" + ("" if narrow or len(names) > 50 else f": {names}"))
        if chat.model.context is not None:
            parts.append(f"{chat.context_usage.share:.0%} of context" if narrow else f"context {chat.context_usage}")
        return [("class:bottom-toolbar.text", " │ ".join(parts))]


def is_command_word(text: str) -> bool:
    """Whether a command is being typed, and nothing after it yet."""
    return text.startswith("/") and not any(letter.isspace() for letter in text)
