"""Where everything goes that a person sees: the answer to stdout, all else to stderr."""

import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.text import Text

from ..errors import MistralrsError
from .encoding import encodable, writable
from .size import size_of
from .status import Status


class ReaderLeft(Exception):
    """The reader of stdout has closed it (``| head -1``)."""


class Nowhere(io.StringIO):
    """A stream that forgets."""

    def write(self, text: str) -> int:
        """Forget."""
        return len(text)


class Console:
    """Both output streams. ``quiet`` keeps only the answer and errors, ``verbose`` lets libraries speak on stderr.

    ``still`` redraws no line, for who has the screen read out.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.still = False
        self.stdout: TextIO | None = sys.stdout
        # A stream that the shell closed is None.
        file = Nowhere() if sys.stderr is None else writable(sys.stderr)
        self.stderr = RichConsole(file=file, markup=False, emoji=False, highlight=False, soft_wrap=True)

    @property
    def watched(self) -> bool:
        """Whether stderr is a terminal, of any kind, and may be used."""
        return self.stderr.file.isatty() and not self.quiet

    @property
    def interactive(self) -> bool:
        """Whether stderr is a terminal that can redraw a line, and may be used."""
        return self.watched and not is_dumb()

    @property
    def room(self) -> int | None:
        """Columns for a line that a person watches, else ``None``; a dumb terminal may need the last for itself."""
        return size_of(self.stderr.file)[0] - is_dumb() if self.watched else None  # type: ignore[arg-type]

    def answer(self, text: str) -> None:
        """Write to stdout, as it is, at once. Terminals get no control codes a model may have made up."""
        if self.stdout is None:
            return
        if self.stdout.isatty():
            text = without_controls(text)
        try:
            self.stdout.write(encodable(text, self.stdout))
            self.stdout.flush()
        except BrokenPipeError as error:
            raise ReaderLeft from error
        except OSError as error:
            raise MistralrsError(
                f"The answer cannot be written: {error.strerror}.", "Check where stdout goes."
            ) from error

    def note(self, text: str, *, command: str = "") -> None:
        """Say something on stderr that is worth knowing but not an error.

        A command to type follows it, on a line of its own where the two do not fit on one.
        """
        if self.quiet:
            return
        line = Text("note: ", "bold").append(one_line(text), "not bold")
        if command:
            fits = self.room is None or line.cell_len + 1 + cell_len(command) <= self.room
            line.append(f"{' ' if fits else chr(10)}{one_line(command)}", "not bold")
        self.say(line, wrap=self.watched)

    def reasoning(self, text: str) -> None:
        """Show reasoning on stderr, on a terminal or with --verbose."""
        if self.watched or self.verbose:
            with suppress(OSError):
                self.stderr.print(Text(without_controls(text), "dim"), end="")

    def ask(self, question: str) -> str:
        """Ask on stderr and return the line typed on stdin."""
        self.stderr.print(Text(one_line(question) + " "), end="")
        return sys.stdin.readline()

    def stats(self, text: str) -> None:
        """Show the numbers of an answer on stderr."""
        if not self.quiet:
            self.say(Text(one_line(text), "dim"), wrap=self.watched)

    def show(self, text: str, *, dim: bool = False) -> None:
        """Show lines on stderr: the output of a command."""
        self.say(Text(without_controls(text), "dim" if dim else ""), wrap=self.watched)

    def error(self, message: str, hint: str | None) -> None:
        """Show what happened and what to type next, a line each."""
        self.say(Text("error: ", "bold red").append(one_line(message), "not bold default"), wrap=self.watched)
        if hint:
            self.say(Text("hint: ", "bold").append(one_line(hint), "not bold"), wrap=self.watched)

    def log(self, line: str) -> None:
        """Write a line as it is to stderr: logs are read by programs."""
        with suppress(OSError):
            self.stderr.file.write(one_line(line) + "\n")
            self.stderr.file.flush()

    def draw(self, commands: str) -> None:
        """Write the control sequences of an image to stderr."""
        with suppress(OSError):
            self.stderr.file.write(commands)
            self.stderr.file.flush()

    def trace(self, text: str) -> None:
        """Show a traceback."""
        self.say(Text(text.rstrip()))

    def say(self, text: Text, *, wrap: bool = False) -> None:
        """Write a line to stderr, perhaps broken between words; a closed stderr does not stop the answer."""
        with suppress(OSError):
            self.stderr.print(text, soft_wrap=not wrap, width=self.room if wrap else None)

    def status(self, label: str, total: int | None = None, *, animated: bool = True) -> Status:
        """Show on the last line of a terminal what is going on, until stopped."""
        return Status(
            self.stderr if self.interactive and not self.still else None, one_line(label), total, animated=animated
        )

    @contextmanager
    def answer_only(self) -> Iterator[None]:
        """Keep stdout for the answer: what libraries write there goes to stderr when verbose, else nowhere."""
        python_stdout, answer_stream = sys.stdout, self.stdout
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            sink = sys.stderr if self.verbose and sys.stderr is not None else nowhere
            sys.stdout = sink
            try:
                if answer_stream is None or file_number(answer_stream) != 1:
                    yield
                    return
                # A real process: code below Python writes to descriptor 1, so the answer moves to a copy of it.
                answer_stream.flush()
                copy = os.fdopen(os.dup(1), "w", encoding=answer_stream.encoding, errors="replace")
                os.dup2(sink.fileno(), 1)
                self.stdout = copy
                try:
                    yield
                finally:
                    os.dup2(copy.fileno(), 1)
                    with suppress(OSError):  # a failed write was reported already
                        copy.close()
            finally:
                sys.stdout, self.stdout = python_stdout, answer_stream


def file_number(stream: TextIO) -> int | None:
    """The descriptor under a stream, if it has one."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def is_dumb() -> bool:
    """Whether the terminal says of itself that it cannot move its cursor."""
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


def without_controls(text: str) -> str:
    """Text without control characters other than tabs and line ends."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) != "Cc")


def one_line(text: str) -> str:
    """Text on one line, with control characters spelled out and unpaired surrogates replaced."""
    text = text.strip().encode("utf-8", "replace").decode()
    return "".join(
        letter if unicodedata.category(letter) not in ("Cc", "Zl", "Zp") else repr(letter)[1:-1] for letter in text
    )
