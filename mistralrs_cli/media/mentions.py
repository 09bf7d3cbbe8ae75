"""Media named in a line of text: ``what is in photo.jpg?`` becomes text, a picture, text. Pure.

A word becomes a medium only where ``look`` finds one: names are looked up, the longest first, so that spaces,
brackets and commas in names need no care. What is written in backquotes is never looked up. The whole grammar is
the table in docs/chat.md.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from ..messages import Media, Modality, Part, Text
from .suffixes import CERTAIN, POSSIBLE, suffix_of, suggested

Sight = Modality | Literal["other", "missing"]
Look = Callable[[str], Sight]
"""Says what is at a path or web address: a medium of a kind, something else, or nothing."""

LONGEST = 12
"""Words that an unquoted name with spaces may have."""

_FAR = 1024  # characters: no name is longer
_QUOTES = {'"': '"', "'": "'", "“": "”", "\u2018": "’", "«": "»"}
_CJK_SIGNS = "「『【《。、\uff01\uff08\uff0c\uff1a\uff1b\uff1f"
_BEFORE = frozenset("([{<\"'“\u2018«\u2039*,;:=|+!?>" + _CJK_SIGNS)
_TRAILING = ".,;:!?)]}>*\"'”’»…"
_ENDS = re.compile(
    rf"\.(?:{'|'.join(sorted(CERTAIN | POSSIBLE, key=len, reverse=True))})"
    r"(?=$|[\s,;:!?)\]}>\"'`*=|&+…]|\.(?![A-Za-z0-9])|[^\x00-\x7f])",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?:\\.|\S)+")
_WORDS = re.compile(rf"(?:(?:\\.|\S)+[^\S\n]*){{1,{LONGEST}}}")
_PATH = re.compile(r"[./\\]")
_WEB = re.compile(r"https?://(?:(?!,https?://)[^\s<>\"'`])+", re.IGNORECASE)
_DATA = re.compile(r"data:(image|audio|video)/[\w.+-]+(?:;[\w=.-]+)*,[\w+/=%-]+", re.IGNORECASE)
_DRIVE = re.compile(r"([A-Za-z]):[\\/]")
_WSL = re.compile(r"\\\\wsl(?:\$|\.localhost)\\[^\\]+", re.IGNORECASE)
_MARKED = re.compile(r"\.{0,2}/|~|[A-Za-z]:[\\/]|\\\\|file:", re.IGNORECASE)
_CLOSING = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A name that was meant as a medium, but is none: ``missing``, or a file that is ``other``."""

    path: str
    sight: Sight


@dataclass(frozen=True, slots=True)
class Reading:
    """A line as the parts of a message, and what keeps it from being sent."""

    parts: tuple[Part, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def media(self) -> tuple[Media, ...]:
        """The media in order."""
        return tuple(part for part in self.parts if isinstance(part, Media))


def read(line: str, look: Look) -> Reading:
    """The parts of a line: every mention of a medium is replaced by the medium, all else stays as it was typed."""
    seen: dict[str, Sight] = {}

    def cached(path: str) -> Sight:
        if path not in seen:
            seen[path] = look(path)
        return seen[path]

    parts: list[Part] = []
    problems: list[Problem] = []
    start = at = 0
    while at < len(line):
        if line[at] == "`":
            at = _after_literal(line, at)
            continue
        end, found = _mention(line, at, cached) if _may_begin(line, at) else (at + 1, None)
        match found:
            case Media():
                parts += _text(line[start:at])
                parts.append(found)
                start = end
            case Problem():
                problems.append(found)
        at = end
    return Reading((*parts, *_text(line[start:])), tuple(problems))


def _text(words: str) -> list[Part]:
    return [Text(words)] if words else []


def _after_literal(line: str, at: int) -> int:
    """The end of a text in backquotes, as in Markdown; of the backquotes alone where they are never closed."""
    fence = re.match("`+", line[at:])
    assert fence is not None
    ticks = fence.group()
    close = re.search(f"(?<!`){ticks}(?!`)", line[at + len(ticks) :])
    return at + len(ticks) + (close.end() if close else 0)


def _may_begin(line: str, at: int) -> bool:
    """Whether a name may begin here: after a space, an opening sign, or a script that writes no spaces."""
    if line[at].isspace():
        return False
    before = line[at - 1] if at else " "
    return before.isspace() or before in _BEFORE or _unspaced(before)


def _unspaced(letter: str) -> bool:
    """Whether a letter is of a script that puts no spaces between words (Chinese, Japanese, Thai, …)."""
    return "\u0e00" <= letter <= "\u0eff" or "\u3040" <= letter <= "\u9fff" or "\uf900" <= letter <= "\ufaff"


def _mention(line: str, at: int, look: Look) -> tuple[int, Media | Problem | None]:
    """What begins here, and where it ends; ``None`` is a word."""
    if match := _DATA.match(line, at):
        return match.end(), _medium(match.group(), _data_kind(match.group(1)))
    if match := _WEB.match(line, at):
        return _web(match.group(), at, look)
    if line[at] in _QUOTES and (quoted := _quoted(line, at, look)) is not None:
        return quoted
    for end, path in _candidates(line, at):
        sight = look(path)
        if sight not in ("missing", "other"):
            return end, _medium(path, sight)
    if line[at] == "@" and at + 1 < len(line) and not line[at + 1].isspace():
        end, found = _mention(line, at + 1, look)
        if found is not None:
            return end, found
    return _pointed_out(line, at, look)


def _medium(source: str, kind: Sight) -> Media:
    assert kind != "other"
    assert kind != "missing"
    return Media(kind, source)


def _data_kind(word: str) -> Modality:
    match word.lower():
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "image"


def _web(address: str, at: int, look: Look) -> tuple[int, Media | None]:
    """A web address: media by the suffix of its path, else by what ``look`` hears from the server."""
    while address[-1] in _TRAILING:
        opening = _CLOSING.get(address[-1])
        if opening and address.count(opening) >= address.count(address[-1]):
            break
        address = address[:-1]
    try:
        kind: Sight | None = CERTAIN.get(suffix_of(unquote(urlsplit(address).path)))
    except ValueError:  # not an address after all
        return at + len(address), None
    kind = kind or look(address)
    return at + len(address), None if kind in ("other", "missing") else _medium(address, kind)


def _quoted(line: str, at: int, look: Look) -> tuple[int, Media | Problem | None] | None:
    """A name in quotes, or ``None`` where the quotes hold something else."""
    close = line.find(_QUOTES[line[at]], at + 1, at + _FAR)
    inside = line[at + 1 : close]
    if close < 0 or not inside.strip() or "\n" in inside:
        return None
    for path in _spellings(inside):
        sight = look(path)
        if sight not in ("missing", "other"):
            return close + 1, _medium(path, sight)
    if suffix_of(inside) not in CERTAIN or "`" in inside or line[close + 1 : close + 2] in ("\\", "/", "'"):
        return None
    if any(character.isspace() for character in inside) and read(inside, look).media:
        return None  # a quoted sentence that ends in a name
    path = next((path for path in _spellings(inside) if look(path) == "other"), inside)
    return close + 1, Problem(path, look(path))


def _candidates(line: str, at: int) -> Iterator[tuple[int, str]]:
    """Every name that may begin here, longest first: where it ends, and the path it would be."""
    word = _WORD.match(line, at)
    assert word is not None
    if ("'" in word.group() or '"' in word.group()) and (shell := _shell_word(line, at)) is not None:
        yield shell
    words = _WORDS.match(line, at)
    assert words is not None
    if "." not in words.group() and not _PATH.search(word.group()):
        return
    reach = words.end()
    ends = {match.end() for match in _ENDS.finditer(line, at, min(len(line), reach + 1)) if match.end() <= reach}
    end = word.end()
    ends.add(end)
    while end > at + 1 and line[end - 1] in _TRAILING:
        end -= 1
        ends.add(end)
    for end in sorted(ends, reverse=True):
        name = line[at:end]
        if _PATH.search(name.strip(".")):
            for path in _spellings(name):
                yield end, path


def _spellings(name: str) -> Iterator[str]:
    """The paths that a name may stand for: as it is, without escapes, decoded, and as WSL mounts it."""
    if name[:5].lower() == "file:":
        local = re.sub(r"^//(localhost(?=/))?", "", name[5:], flags=re.IGNORECASE)
        yield unquote(local, errors="surrogateescape")
        if drive := re.match(r"/(?=[A-Za-z]:)", local):
            yield from _spellings(unquote(local[drive.end() :]))
        return
    yield name
    if re.search(r"\\[^A-Za-z0-9]", name) and not _DRIVE.match(name):
        yield re.sub(r"\\(.)", r"\1", name)
    if drive := _DRIVE.match(name):
        yield f"/mnt/{drive.group(1).lower()}/" + name[3:].replace("\\", "/")
    if share := _WSL.match(name):
        yield name[share.end() :].replace("\\", "/")
    if "%" in name:
        yield unquote(name, errors="surrogateescape")


def _shell_word(line: str, at: int) -> tuple[int, str] | None:
    """A word that a shell would unquote, as desktops paste it: ``'it'\\''s here.png'``. ``None`` without quotes."""
    value: list[str] = []
    quote, end, quoted = "", at, False
    limit = min(len(line), at + _FAR)
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
    return (end, "".join(value)) if quoted and not quote and end < at + _FAR else None


def _pointed_out(line: str, at: int, look: Look) -> tuple[int, Problem | None]:
    """A name that is no medium but was clearly meant as one, or a word."""
    word = _WORD.match(line, at)
    assert word is not None
    if line[at] in _BEFORE:
        return at + 1, None
    ends = [match.end() for match in _ENDS.finditer(line, at, min(len(line), word.end() + 1))]
    if not ends or ends[-1] > word.end():
        return at + 1, None
    end = ends[-1]
    name = line[at:end]
    path = name if _DRIVE.match(name) else re.sub(r"\\([^A-Za-z0-9])", r"\1", name)
    if name[:5].lower() == "file:":
        path = next(_spellings(name))
    if suffix_of(path) not in CERTAIN:
        return at + 1, None
    there = next((found for found in _spellings(name) if look(found) == "other"), None)
    if there is not None:
        return end, Problem(there, "other")
    if _MARKED.match(name) or re.search(r"[/\\]", name):
        return end, Problem(path, "missing")
    return at + 1, None


__all__ = ["LONGEST", "Look", "Problem", "Reading", "Sight", "read", "suggested"]
