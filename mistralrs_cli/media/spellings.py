"""The ways in which shells, desktops and other systems write the path of a file."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

LONGEST_NAME = 1024
"""Characters: no path in a line is longer."""

PAGES = r"#pages?=(\d+(?:-\d*)?(?:,\d+(?:-\d*)?)*)"
"""The pages of a document that a name asks for: ``doc.pdf#page=2-4,7``."""

DRIVE = re.compile(r"([A-Za-z]):[\\/]")
_WSL = re.compile(r"\\\\wsl(?:\$|\.localhost)\\[^\\]+", re.IGNORECASE)


def split_pages(source: str) -> tuple[str, str | None]:
    """A source without the pages it asks for, and those: ``doc.pdf#page=2-4`` is ``doc.pdf`` and ``2-4``."""
    found = re.search(f"{PAGES}$", source, re.IGNORECASE)
    return (source[: found.start()], found[1]) if found else (source, None)


def spellings(name: str) -> Iterator[str]:
    """The paths that a name may stand for: as it is, without escapes, decoded, and as WSL mounts it."""
    if name[:5].lower() == "file:":
        local = re.sub(r"^//(localhost(?=/)|wsl(\$|\.localhost)/[^/]+(?=/))?", "", name[5:], flags=re.IGNORECASE)
        if DRIVE.match(local):
            yield from spellings(unquote(local))
        yield unquote(local, errors="surrogateescape")
        if drive := re.match(r"/(?=[A-Za-z]:)", local):
            yield from spellings(unquote(local[drive.end() :]))
        return
    yield name
    if re.search(r"\\[^A-Za-z0-9]", name) and not DRIVE.match(name):
        yield re.sub(r"\\(.)", r"\1", name)
    if drive := DRIVE.match(name):
        yield f"/mnt/{drive.group(1).lower()}/" + name[3:].replace("\\", "/")
    if share := _WSL.match(name):
        yield name[share.end() :].replace("\\", "/")
    if "%" in name:
        yield unquote(name, errors="surrogateescape")


def shell_word(line: str, at: int) -> tuple[int, str] | None:
    """A word that a shell would unquote, as desktops paste it: ``'it'\\''s here.png'``. ``None`` without quotes."""
    value: list[str] = []
    quote, end, quoted = "", at, False
    limit = min(len(line), at + LONGEST_NAME)
    while end < limit and line[end] != "\n" and (quote or not line[end].isspace()):
        letter = line[end]
        if letter == "\\" and quote != "'" and end + 1 < len(line):
            end += 1
            value.append(line[end])
        elif letter == quote:
            quote = ""
        elif not quote and letter in "\"'":
            quote, quoted = letter, True
        else:
            value.append(letter)
        end += 1
    return (end, "".join(value)) if quoted and not quote and end < at + LONGEST_NAME else None
