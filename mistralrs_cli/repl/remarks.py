"""Errors and notes about names in a line that are no media."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import MediaDecodeError, MediaError, MediaForbidden, MediaNotFound
from ..media import formats
from ..media.labels import label
from ..media.lookup import similar
from ..media.mentions import Note, Problem
from ..media.suffixes import suggested
from ..messages import MediaRef
from ..options import MediaPolicy

LITERAL = "Correct the name, or write it in `backquotes` to keep it as words."
NOTED = 3
"""Names that one note lists at most."""


def complaint(problem: Problem, policy: MediaPolicy) -> MediaError:
    """What to say about a name that was meant as a medium or a text."""
    path = label(problem.path)
    command = suggested(path) or "image"
    match problem.sight:
        case "other" | "text":
            return MediaDecodeError(f"{path} is {content(problem.path)}, not an image, audio or video.", LITERAL)
        case "folder":
            return MediaNotFound(f"{path} is a folder, not a file.", f"Name the files in it: /{command} {path}/*")
        case "special":
            return MediaNotFound(f"{path} is a pipe or device, not a file.", f"/{command} {path} reads it.")
        case "dangling":
            return MediaNotFound(f"{path} is a link to a file that is not there.", LITERAL)
        case "foreign":
            return refusal(problem.path, policy)
    if glob.has_magic(problem.path):
        return MediaNotFound(f"No such file: {path}", f"/{command} {path} attaches what fits.")
    close = beside(problem.path)
    hint = f"Did you mean '{label(close)}'? Or write it in `backquotes` to keep it as words." if close else LITERAL
    return MediaNotFound(f"No such file: {path}", hint)


def refusal(source: str, policy: MediaPolicy) -> MediaError:
    """Why an address of another machine or protocol is not read."""
    from ..media import fetch

    try:
        fetch(MediaRef("image", source), policy)
    except MediaError as error:
        return error
    return MediaForbidden(f"{label(source)} cannot be read.", LITERAL)


def noted(notes: Sequence[Note], reasons: Mapping[str, str]) -> str:
    """What to say about words that look like names and are none; ``reasons`` are those of web addresses."""
    missing = [note.path for note in notes if note.sight == "missing"]
    remarks = [remark(note, reasons) for note in notes if note.sight != "missing"]
    return f"{', '.join([*remarks[:NOTED], *([absent(missing)] if missing else [])])}; sent as plain text"


def remark(note: Note, reasons: Mapping[str, str]) -> str:
    """What to say about a name that is there and no medium, or an address that gives none."""
    path = label(note.path)
    match note.sight:
        case "folder":
            return f"{path} is a folder"
        case "special":
            return f"{path} is a pipe or device, which /{suggested(path) or 'image'} reads"
        case "dangling":
            return f"{path} is a link to nothing"
        case _:
            return reasons.get(note.path, f"{path} gives nothing")


def absent(paths: Sequence[str]) -> str:
    """That there are no such files, and which there are instead."""
    found = [f" ({label(close)} is)" if (close := beside(path)) else "" for path in paths[:NOTED]]
    if len(paths) == 1:
        return f"there is no {label(paths[0])} here{found[0]}"
    names = [label(path) + other for path, other in zip(paths, found, strict=False)]
    if len(paths) > NOTED:
        names.append(f"{len(paths) - NOTED} more such names")
    return f"there is no {', '.join(names[:-1])} or {names[-1]} here"


def content(path: str) -> str:
    """What a file is that is no medium."""
    try:
        with Path(path).expanduser().open("rb") as file:
            found = formats.identify(file.read(formats.HEAD))
    except OSError:
        found = None
    return found.name if found else "empty, or nothing that can be read"


def beside(path: str) -> str | None:
    """The name of a file beside it that is nearly its own."""
    try:
        return similar(Path(path).expanduser())
    except (OSError, RuntimeError, ValueError):
        return None
