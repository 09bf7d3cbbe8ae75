"""The words of a question: ``-i`` and what is piped on stdin."""

import select
import sys
from pathlib import Path
from typing import TextIO

from ..errors import OptionError
from ..messages import Media, TextFile
from ..terminal.console import Console

SOURCES = {"image": "photo.jpg", "audio": "sound.wav", "video": "clip.mp4", "file": "notes.txt"}
PATIENCE = 3.0
"""Seconds of silence on a pipe after which to say what is being waited for."""


def read_question(
    given: str | None, media: tuple[Media | TextFile, ...], console: Console, *, needed: bool = True, piped: bool = True
) -> str:
    """The text to ask: ``-i``, with text piped on stdin before it. Empty only beside media, or where none is needed.

    Without ``piped`` stdin is left alone.

    Raises ``OptionError`` where there is nothing to ask.
    """
    stdin = sys.stdin
    taken = [medium for medium in media if medium.source == "-"]
    if any(isinstance(medium, TextFile) for medium in taken):
        raise OptionError("--file - is not needed.", "Text piped on stdin goes before the question by itself.")
    if len(taken) > 1 or (taken and given == "-"):
        raise OptionError(
            "stdin can be read once only.", "Use - for one medium or for -i, and name files for the rest."
        )
    wanted = given == "-"
    if not piped and (taken or wanted):
        raise OptionError("--no-stdin and - contradict each other.", "Leave out one of them.")
    before = ""
    if stdin is not None and piped and not taken and (wanted or not stdin.isatty()):
        before = read_text(stdin, console)
    if needed and given is None and not before.strip():
        raise no_question(media)
    if before.strip() and given is not None and not wanted:
        count = len(before.splitlines())
        lines = "a line" if count == 1 else f"{count:,} lines"
        console.note(f"{lines} from stdin put before the question; --no-stdin leaves stdin alone, as in a loop")
    text = join(before, "" if given is None or wanted else given)
    if needed and not text.strip() and not media:
        raise OptionError("The question is empty.", 'Put it after -i, for example: -i "What can you do?"')
    return text


def join(piped: str, given: str) -> str:
    """Piped text before the given, each left as it is; the line end a shell appends to a pipe is no part of it."""
    if not piped.strip():
        return given
    if not given.strip():
        return piped.removesuffix("\n").removesuffix("\r")
    return f"{piped}{given}" if piped.endswith("\n") else f"{piped}\n{given}"


def read_text(stdin: TextIO, console: Console) -> str:
    """All of stdin as text. Raises ``OptionError`` for bytes that are none."""
    with console.status("Waiting for stdin"):
        note_wait(stdin, console)
        data = stdin.buffer.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        from ..media.kinds import kind_of

        kind = kind_of(data)
        raise OptionError(
            "What is piped on stdin is not text.",
            f"To ask about it, add --{kind} -"
            if kind
            else "Text must be UTF-8; a medium goes to --image - and the like.",
        ) from error


def note_wait(stdin: TextIO, console: Console) -> None:
    """Note that a pipe stays silent, for one that was left open by mistake."""
    if sys.platform == "win32":
        return
    try:
        ready, _, _ = select.select([stdin], [], [], PATIENCE)
    except (OSError, ValueError):
        return
    if not ready:
        console.note("waiting for text on stdin; add --no-stdin if none will come")


def no_question(media: tuple[Media | TextFile, ...]) -> OptionError:
    """What to type when there is neither ``-i`` nor text on stdin."""
    if not media:
        return OptionError("There is no question.", 'Put it after -i, or pipe it: mistralrs run -i "What can you do?"')
    kind = "file" if isinstance(media[-1], TextFile) else media[-1].kind
    last = media[-1].source
    message = f"--{kind} needs a question after -i."
    if " " in last and not Path(last).suffix:
        return OptionError(message, f'If this is the question, put it after -i: -i "{last}"')
    return OptionError(message, f'mistralrs run --{kind} {SOURCES[kind]} -i "Describe this."')
