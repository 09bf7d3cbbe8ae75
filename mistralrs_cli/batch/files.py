"""The files that a word of the command line means: itself, what lies in a folder, or what a pattern matches."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from ..errors import MediaForbidden, MediaNotFound
from ..media.lookup import Lookup, similar
from ..media.suffixes import CERTAIN, TEXTS, suffix_of, suggested
from ..messages import Modality

BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
ADDRESS = re.compile(r"(?:https?|data|file):", re.IGNORECASE)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts names as people do: ``shot2`` before ``shot10``, whatever the case."""
    parts = re.split(r"([0-9]+)", name)
    return (*((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts), (2, 0, name))


def natural_path(path: str) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """The same key for each part of a path."""
    return tuple(map(natural, PurePath(path).parts))


def files_of(word: str) -> list[str]:
    """The paths that a word means, in natural order: one file or address, a folder's media, or a pattern's matches.

    Hidden files are left out unless the word names them. Raises ``MediaNotFound`` where there is nothing, and
    ``MediaForbidden`` for a folder that cannot be read.
    """
    if ADDRESS.match(word):
        return [word]
    path = str(Path(word).expanduser()) if word.startswith("~") else word
    if Path(path).is_dir():
        return folder_media(path)
    if os.path.lexists(path):
        return [os.path.normpath(path)]
    if not glob.has_magic(path) and not BRACES.search(path):
        if len(alike := Lookup().files(Path(path))) == 1:
            return [str(alike[0])]
        close = similar(Path(path))
        hint = f"Did you mean '{Path(path).with_name(close)}'?" if close else "Check the path; quote a pattern."
        raise MediaNotFound(f"No such file: {word}", hint)
    found = {name for one in braces(path) for name in matches(one) if Path(name).is_file()}
    if not found:
        raise MediaNotFound(f"No file matches {word}", nearly(path))
    return sorted(map(os.path.normpath, found), key=natural_path)


def matches(pattern: str) -> Iterator[str]:
    """What a pattern matches; ``**`` stands for any folders."""
    return glob.iglob(pattern, recursive=True)  # noqa: PTH207 - Path.glob finds hidden files


def nearly(pattern: str) -> str:
    """What to type in place of a pattern that matches nothing."""
    other = re.sub(r"\.(\w+)$", lambda found: f".{found[1].swapcase()}", pattern)
    if other != pattern and any(matches(other)):
        return f"Upper and lower case differ; try '{other}'"
    folder = Path(re.split(r"[*?\[{]", pattern, maxsplit=1)[0] + "x").parent
    return "Check the pattern." if folder.is_dir() else f"There is no folder {folder}."


def braces(pattern: str) -> Iterator[str]:
    """The patterns that ``{jpg,png}`` stands for, as a shell would expand it outside of quotes."""
    found = BRACES.search(pattern)
    if found is None:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from braces(pattern[: found.start()] + choice + pattern[found.end() :])


def folder_media(folder: str) -> list[str]:
    """All media below a folder, by the suffixes of their names; links to folders are not followed."""
    found = []

    def refuse(error: OSError) -> None:
        raise MediaForbidden(f"{error.filename} cannot be read.", "Check its owner and mode (ls -ld).") from error

    for above, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [f"{above}/{name}" for name in names if suffix_of(name) in CERTAIN and name[0] != "."]
    if not found:
        raise MediaNotFound(
            f"There are no images, audio or videos in {folder}", f"To take every file: '{folder.rstrip('/')}/*'"
        )
    return sorted(map(os.path.normpath, found), key=natural_path)


def kind_by_name(path: str) -> Modality | None:
    """The kind of medium that a name suggests, if it suggests one and no text."""
    return None if suffix_of(path) in TEXTS and suffix_of(path) not in CERTAIN else suggested(path)
