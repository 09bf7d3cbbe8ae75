"""Folders whose text files begin with a byte order mark, as some editors and PowerShell write them."""

from __future__ import annotations

import atexit
import codecs
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from ..resources import decoded

MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
TEXTS = (".json", ".jinja", ".txt")


def without_marks(folder: Path) -> Path:
    """The folder itself, or one with the same files whose texts are plain UTF-8: transformers reads no others.

    That one lasts as long as the program; what is not text is linked.
    """
    marked = frozenset(path.name for path in folder.iterdir() if path.suffix in TEXTS and begins_marked(path))
    return plain_copy(folder, marked, frozenset(path.name for path in folder.iterdir())) if marked else folder


def begins_marked(file: Path) -> bool:
    """Whether a file begins with a byte order mark."""
    try:
        with file.open("rb") as stream:
            return stream.read(3).startswith(MARKS)
    except OSError:
        return False


@lru_cache(maxsize=8)
def plain_copy(folder: Path, marked: frozenset[str], names: frozenset[str]) -> Path:
    """A temporary folder with links to ``names`` of a folder, and plain copies of those that are ``marked``."""
    view = Path(tempfile.mkdtemp(prefix="mistralrs-"))
    atexit.register(shutil.rmtree, view, ignore_errors=True)
    for name in names:
        if name in marked:
            (view / name).write_text(decoded((folder / name).read_bytes()), encoding="utf-8")
        else:
            (view / name).symlink_to((folder / name).resolve())
    return view
