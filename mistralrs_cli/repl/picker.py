"""Choosing one of the kept chats: a list that is searched by typing, or plain lines where nothing can be redrawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..conversation.store import Summary
from ..errors import OptionError
from ..terminal.console import Console, one_line

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyPressEvent

ROWS = 10
LONG = 4
"""Letters that a part of a date must have to be searched for: a single digit is in every date."""


def pick(chats: Sequence[Summary], console: Console, *, redraws: bool) -> str | None:
    """The id of the chat that a person chooses, ``None`` where they choose none.

    Where the terminal ``redraws`` nothing, the chats are listed instead. Raises ``OptionError`` where there is none.
    """
    if not chats:
        raise OptionError("No chat is saved yet.", "A chat is saved with its first question.")
    if not redraws:
        console.show("\n".join(f"{chat.id}  {summary_line(chat)}" for chat in chats))
        return None
    return Picker(chats).application(console).run()


def summary_line(chat: Summary) -> str:
    """A chat in a line: when, with which model, and its first question."""
    turns = f"{chat.turns} turn{'' if chat.turns == 1 else 's'}"
    model = chat.model.rstrip("/").rpartition("/")[2]
    return one_line(f"{chat.changed:%Y-%m-%d %H:%M}  {chat.title}  ({', '.join(filter(None, (model, turns)))})")


def has(chat: Summary, word: str) -> bool:
    """Whether a chat has a word in its question or its model; a longer one may be of its id or its date."""
    if word in chat.title.lower() or word in chat.model.lower():
        return True
    return len(word) >= LONG and (chat.id.startswith(word) or word in f"{chat.changed:%Y-%m-%d %H:%M}")


class Picker:
    """What the list shows: the chats that hold every word of ``search``, one of them chosen."""

    def __init__(self, chats: Sequence[Summary]) -> None:
        self.chats = [(chat, summary_line(chat)) for chat in chats]
        self.search = ""
        self.index = 0

    @property
    def found(self) -> list[tuple[str, str]]:
        """Ids and lines of the chats that are searched for."""
        words = self.search.lower().split()
        return [(chat.id, line) for chat, line in self.chats if all(has(chat, word) for word in words)]

    @property
    def chosen(self) -> str | None:
        """The id of the chosen chat, if there is one."""
        found = self.found
        return found[self.index][0] if found else None

    def move(self, steps: int) -> None:
        """Choose another, down or up, and not beyond the ends."""
        self.index = max(0, min(self.index + steps, len(self.found) - 1))

    def look(self, search: str) -> None:
        """Search for other words; the first found is chosen."""
        self.search, self.index = search, 0

    def shown(self, rows: int) -> StyleAndTextTuples:
        """As many lines as there is room for, the chosen one among them."""
        found = self.found
        first = max(0, min(self.index - rows // 2, len(found) - rows))
        text: StyleAndTextTuples = []
        for number, (_, line) in enumerate(found[first : first + rows], start=first):
            text.append(("bold", f"> {line}\n") if number == self.index else ("", f"  {line}\n"))
        count = f"{len(found)} of {len(self.chats)} chats" if self.search else f"{len(found)} chats"
        return [*text, ("class:hint", f"{count}. Enter opens, Esc leaves, typing searches.")]

    def application(self, console: Console) -> Application[str | None]:
        """The list on the terminal; its result is the id of the chat that was chosen."""
        from prompt_toolkit.application import Application, get_app
        from prompt_toolkit.buffer import Buffer
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, VSplit, Window
        from prompt_toolkit.styles import Style

        from . import devices

        keys = KeyBindings()

        def moving(key: str, steps: int) -> None:
            @keys.add(key)
            def _(event: KeyPressEvent) -> None:
                self.move(steps)

        for key, steps in {"up": -1, "c-p": -1, "down": 1, "c-n": 1, "pageup": -ROWS, "pagedown": ROWS}.items():
            moving(key, steps)

        @keys.add("enter")
        def _(event: KeyPressEvent) -> None:
            if self.chosen is not None:
                event.app.exit(result=self.chosen)

        @keys.add("escape", eager=True)
        @keys.add("c-c")
        @keys.add("c-d")
        def _(event: KeyPressEvent) -> None:
            event.app.exit(result=None)

        def rows() -> int:
            return max(1, min(ROWS, get_app().output.get_size().rows - 3))

        words = Buffer(multiline=False, on_text_changed=lambda buffer: self.look(buffer.text))
        label = Window(FormattedTextControl([("bold", "Which chat? ")]), dont_extend_width=True)
        line = VSplit([label, Window(BufferControl(words))], height=1)
        listed = Window(FormattedTextControl(lambda: self.shown(rows())), dont_extend_height=True, wrap_lines=False)
        app: Application[str | None] = Application(
            layout=Layout(HSplit([line, listed]), focused_element=words),
            key_bindings=keys,
            style=Style.from_dict({"hint": "fg:ansibrightblack"}),
            erase_when_done=True,
            input=devices.keyboard(),
            output=devices.screen(console),
        )
        app.ttimeoutlen = 0.05  # seconds after which Esc is no longer the beginning of an arrow key
        return app
