"""The question: the panel Question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .option import QUESTION, flag_in, option_in

option, flag = option_in(QUESTION), flag_in(QUESTION)


@dataclass(frozen=True)
class QuestionParams:
    """The question, and what comes before it."""

    input: Annotated[
        str | None,
        option(
            "-i",
            "--input",
            metavar="TEXT",
            help="Answer this once and exit. - reads it from stdin; text piped on stdin is put before it.",
        ),
    ] = None
    image: Annotated[
        list[str] | None,
        option(
            "--image",
            metavar="X...",
            help="Images, PDFs: paths, URLs, data: URLs, or - for stdin. Several may follow; the order of all counts.",
        ),
    ] = None
    audio: Annotated[list[str] | None, option("--audio", metavar="X...", help="Audio, given likewise.")] = None
    video: Annotated[list[str] | None, option("--video", metavar="X...", help="Videos, given likewise.")] = None
    file: Annotated[list[str] | None, option("--file", metavar="X...", help="Texts, given likewise.")] = None
    clipboard: Annotated[
        bool, flag("--clipboard", help="What is on the clipboard: an image or files, else the text.")
    ] = False
    screenshot: Annotated[bool, flag("--screenshot", help="An image of the whole screen.")] = False
    no_stdin: Annotated[bool, flag("--no-stdin", help="Leave stdin alone: for loops that read lines from it.")] = False
    system: Annotated[str | None, option("-s", "--system", metavar="TEXT", help="Instructions that come first.")] = None
    go_on: Annotated[bool, flag("--continue", help="Continue the last chat.")] = False
    resume: Annotated[
        str | None, option("--resume", metavar="[ID]", help="Continue this chat; without ID, choose one.")
    ] = None
