"""Names of files as people type them: patterns, addresses, and how a source is shown."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from ..errors import MediaNotFound
from ..media.labels import label
from ..media.suffixes import CERTAIN, POSSIBLE, TEXTS, suffix_of
from ..messages import Media


def is_name(word: str) -> bool:
    """Whether a word looks like the name of a file, a pattern or an address rather than a word of a question."""
    known = suffix_of(word) in CERTAIN.keys() | POSSIBLE.keys() | TEXTS
    return known or exists(word) or any(sign in word for sign in "/\\*[~") or (":" in word[1:-1])


def exists(path: str) -> bool:
    """Whether there is a file of this name, or a pipe or device."""
    try:
        file = Path(path).expanduser()
        return file.exists() and not file.is_dir()
    except (OSError, RuntimeError, ValueError):
        return False


def expanded(word: str, command: str) -> list[str]:
    """The files a pattern stands for, in the order of their names; any other word stands for itself."""
    if exists(word) or not glob.has_magic(word) or word[:5].lower() in ("data:", "http:", "https"):
        return [word]
    found = sorted(glob.glob(str(Path(word).expanduser()), recursive=True))  # noqa: PTH207
    files = [path for path in found if Path(path).is_file()]
    if not files and not glob.has_magic(word.rstrip("?")):  # a question mark that ends a question
        stem = word.rstrip("?")
        if exists(stem):
            return [stem]
        raise MediaNotFound(f"No such file: {label(stem)}", f"/{command} takes files; ask on the next line.")
    if not files:
        raise MediaNotFound(f"No file fits {label(word)}", "Check the folder and the pattern.")
    return files


def sources(media: Iterable[Media]) -> str:
    """The names of media for a line: the last part of each path."""
    return ", ".join(name(medium.source) for medium in media)


def name(source: str) -> str:
    """The last part of a source, short enough for a line."""
    if source[:5].lower() == "data:":
        return "data"
    short = source.rstrip("/").replace("\\", "/").rpartition("/")[2].partition("?")[0] or source
    return short if len(short) <= 40 else short[:20] + "…" + short[-19:]
