"""Files found by a name that is nearly theirs: in another case, another Unicode form, with another kind of space.

What a person types or pastes often differs from the name on disk in what cannot be seen: macOS writes U+202F before
"PM" in the names of screenshots, some desktops decompose accents, editors turn quotes and hyphens into typographic
ones. Such a name is taken for a file where only one file can be meant.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import unicodedata
from pathlib import Path

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
_MOST = 100_000
"""Entries of one folder that are compared."""


def folded(name: str) -> str:
    """A name without the differences that do not show: case, Unicode form, kinds of space, quote and hyphen.

    Compatibility composition (NFKC) and case folding of Unicode; format characters (category Cf) are left out.
    """
    name = unicodedata.normalize("NFKC", name).translate(_SIGNS)
    name = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", name.casefold())).strip()


class Lookup:
    """Looks files up by what their names fold to; every folder is read once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[str]]] = {}

    def files(self, path: Path, root: Path | None = None) -> list[Path]:
        """The regular files that a path can mean where it does not exist as it is written.

        A part of the path that exists as written stands for itself alone. With ``root``, which the path lies below,
        only what comes after it is compared.
        """
        start = Path(path.anchor) if root is None else root
        parts = path.relative_to(start).parts if start.parts else path.parts
        found = [start]
        for part in parts:
            found = [match for folder in found for match in self._matches(folder, part)]
        return [match for match in found if match.is_file()]

    def _matches(self, folder: Path, part: str) -> list[Path]:
        exact = folder / part
        if part == ".." or os.path.lexists(exact):
            return [exact]
        return [folder / name for name in self._listing(folder).get(folded(part), ())]

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._folders:
            names: dict[str, list[str]] = {}
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for _, entry in zip(range(_MOST), entries, strict=False):
                    names.setdefault(folded(entry.name), []).append(entry.name)
            self._folders[folder] = names
        return self._folders[folder]


def similar(path: Path) -> str | None:
    """The name of the regular file beside ``path`` that is most like it, if one is like it at all."""
    try:
        names = {folded(entry.name): entry.name for entry in os.scandir(path.parent)}
    except (OSError, ValueError):
        return None
    for name in difflib.get_close_matches(folded(path.name), names, n=5, cutoff=0.75):
        found = path.parent / names[name]
        if names[name] != path.name and found.is_file():
            return names[name]
    return None
