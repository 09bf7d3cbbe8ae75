"""The keys between two prompts: nothing is echoed, what is typed ahead is shown on the last line and never lost."""

from __future__ import annotations

import codecs
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output
from prompt_toolkit.utils import get_cwidth

from ..terminal.footer import Footer
from .lines import clean
from .pastes import folded_name, is_long

TICK = 0.2
"""Seconds after which the line is drawn again, where something else has written over it or the size has changed."""


class Keyboard:
    """The terminal on descriptor 0. ``shown`` says whether what is typed ahead may be drawn on ``screen``.

    From ``hold`` to ``close`` the terminal echoes nothing outside of prompts; ``listening`` reads meanwhile.
    """

    def __init__(self, screen: Output, *, shown: bool) -> None:
        self.screen = screen
        self.usable = sys.platform != "win32" and os.isatty(0)
        self.footer: Footer | None = None
        if shown and self.usable:
            with suppress(OSError, ValueError):  # a screen that is no terminal
                self.footer = Footer(screen.fileno(), screen.encoding())
        self.pressed: list[KeyPress] = []
        self.parser = Vt100Parser(self.press)
        self.decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.before: list[Any] = []  # how the terminal was found
        self.suspending: Any = None  # what Ctrl-Z did
        self.depth = 0
        self.received = threading.Lock()
        self.stopping: tuple[int, int] | None = None  # a pipe that ends the thread
        self.thread: threading.Thread | None = None

    # The terminal's mode

    def hold(self) -> None:
        """From now on the terminal echoes nothing and gives every key at once. Ctrl-C, Ctrl-Z and Ctrl-\\ are kept."""
        if not self.usable:
            return
        import termios

        self.before = self.before or termios.tcgetattr(0)
        if threading.current_thread() is threading.main_thread():
            self.suspending = signal.signal(signal.SIGTSTP, self.suspend)
        self.apply()

    def close(self) -> None:
        """Leave the terminal as it was found, for good."""
        self.stop()
        self.release()
        if self.suspending is not None:
            signal.signal(signal.SIGTSTP, self.suspending)
        self.suspending, self.before = None, []

    def apply(self) -> None:
        """Set the mode, which a program or the shell may have changed."""
        if not self.before:
            return
        import termios

        during = [*self.before]
        during[3] = (self.before[3] & ~(termios.ECHO | termios.ICANON)) | termios.NOFLSH  # Ctrl-C throws nothing away
        during[3] = (during[3] | termios.ISIG) & ~termios.IEXTEN  # Ctrl-V and Ctrl-O are keys like others
        during[0] = self.before[0] & ~termios.ICRNL  # Enter is not Ctrl-J, as in a prompt
        during[6] = [*self.before[6]]
        during[6][termios.VMIN], during[6][termios.VTIME] = 1, 0
        with suppress(termios.error):  # a terminal that was closed
            termios.tcsetattr(0, termios.TCSADRAIN, during)

    def release(self) -> None:
        """Give the terminal the mode in which it was found."""
        if not self.before:
            return
        import termios

        with suppress(termios.error):  # a terminal that was closed
            termios.tcsetattr(0, termios.TCSADRAIN, self.before)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Within the block another program has the terminal as it was found."""
        self.release()
        try:
            yield
        finally:
            self.apply()

    # What is typed ahead

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block what is typed is read, shown, and kept for the next prompt; a paste in one piece."""
        if not self.usable or not self.before or self.depth:
            yield
            return
        self.depth += 1
        self.apply()
        self.screen.enable_bracketed_paste()
        self.screen.flush()
        self.start()
        try:
            yield
        finally:
            self.stop()
            self.screen.disable_bracketed_paste()
            self.screen.flush()
            self.depth -= 1

    def start(self) -> None:
        """Begin to read."""
        self.stop()
        self.stopping = os.pipe()
        self.thread = threading.Thread(target=self.read, args=(self.stopping[0],), name="mistralrs-keys", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """End reading; the line goes away."""
        if self.thread is None or self.stopping is None:
            return
        os.close(self.stopping[1])
        self.thread.join()
        os.close(self.stopping[0])
        self.thread = self.stopping = None
        if self.footer is not None:
            self.footer.clear()

    def read(self, stopping: int) -> None:
        """Read keys until the other end of ``stopping`` is closed."""
        while True:
            try:
                ready, _, _ = select.select([0, stopping], [], [], TICK)
                if stopping in ready:
                    return
                if 0 in ready and not (data := os.read(0, 1 << 16)):
                    return
            except (OSError, ValueError):
                return
            with self.received:
                if 0 in ready:
                    self.parser.feed(self.decoder.decode(data))
                if self.footer is not None:
                    self.footer.show(pending(self.pressed, self.footer.columns))

    def press(self, key: KeyPress) -> None:
        """One more key. Terminals send cursor positions among them: that is no key."""
        if key.key != Keys.CPRResponse:
            self.pressed.append(key)

    def take(self) -> list[KeyPress]:
        """What was typed ahead, for the prompt that begins."""
        with self.received:
            self.parser.flush()
            pressed, self.pressed = self.pressed, []
        self.parser = Vt100Parser(self.press)
        return pressed

    def suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z was pressed: give the terminal back, stop, and take it again when the shell lets go on."""
        if self.footer is not None:
            self.footer.clear()
        with self.released():
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self.suspend)


def pending(pressed: list[KeyPress], columns: int) -> str:
    """What keys have typed so far, as a line of fewer columns: its end, where it is longer."""
    text = ""
    for press in pressed:
        match press.key:
            case Keys.Backspace | Keys.ControlH:
                text = text[:-1]
            case Keys.ControlU | Keys.ControlC:
                text = text[: text.rfind("\n") + 1]
            case Keys.ControlW:
                text = text.rstrip(" ")
                text = text[: max(text.rfind(" "), text.rfind("\n")) + 1]
            case Keys.ControlM | Keys.ControlJ | Keys.Enter:
                text += "\n"
            case Keys.BracketedPaste:
                paste = clean(press.data)
                text += folded_name(paste) if is_long(paste) else paste
            case str() as letter if not isinstance(letter, Keys) and letter.isprintable():
                text += letter
            case _:
                pass
    if not text.strip():
        return ""
    shown = "".join("↵ " if letter == "\n" else " " if letter == "\t" else letter for letter in text)
    room = columns - 4
    if get_cwidth(shown) > room:
        while shown and get_cwidth(shown) > room - 1:
            shown = shown[1:]
        shown = "…" + shown
    return f"> {shown}"
