"""Media named in a line of text: ``what is in photo.jpg?`` becomes text, an image, text. Pure.

A word becomes a medium only where ``look`` finds one: names are looked up, the longest first, so that spaces,
brackets and commas in names need no care. What is written in backquotes is never looked up. The whole grammar is
the table in docs/chat-names.md.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ..messages import MODALITIES, MediaRef, Modality, Text, TextFile
from .candidates import ENDS, TRAILING, WORD, Look, Names, Near, Sight, none_near
from .spellings import DRIVE, LONGEST_NAME, spellings
from .suffixes import CERTAIN, TEXTS, suffix_of

_QUOTES = {'"': '"', "'": "'", "“": "”", "\u2018": "’", "«": "»"}
_CJK_SIGNS = "「『【《。、\uff01\uff08\uff0c\uff1a\uff1b\uff1f"
_BEFORE = frozenset("()[]{}<\"'“\u2018«\u2039*,;:=|+!?>" + _CJK_SIGNS)
_WEB = re.compile(
    r"https?://(?:(?!(?:[,;|+&]|-+>|=+>|~|[^\x00-\x7f])https?://)[^\s<>\"'`→⇒⟶➔➜、。「」『』《》【】\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f])+",
    re.IGNORECASE,
)
_WEB_END = re.compile(
    rf"\.(?:{'|'.join(sorted(CERTAIN, key=len, reverse=True))})(?=[,;|+&~]|->|=>|[^\x00-\x7f])", re.IGNORECASE
)
_FOREIGN = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+(?<!http)(?<!https)://[^\s<>\"'`]+", re.IGNORECASE)
_OTHER_HOST = re.compile(r"file://(?!localhost/|wsl\$|wsl\.localhost/|[a-z]:)[^/\s]+/", re.IGNORECASE)
_DATA = re.compile(r"data:(image|audio|video)/[\w.+-]+(?:;[\w=.-]+)*,[\w+/=%-]+", re.IGNORECASE)
_MARKED = re.compile(r"\.{0,2}/|~|[A-Za-z]:[\\/]|\\\\|file:", re.IGNORECASE)
_CLOSING = {")": "(", "]": "[", "}": "{"}
_OPENS = ("Sm", "Sc", "Sk", "So", "Po", "Ps", "Pe", "Pi", "Pf")
"""Categories of signs outside ASCII after which a name may begin: arrows, bullets, brackets, quotes, but no hyphens."""
_AUSTRALIA = re.compile(r"\.(?:com|net|org|gov|edu|asn|id)\.au$", re.IGNORECASE)  # .au is audio elsewhere
_CUTS = re.compile(r"[,;:!?()\[\]{}<>\"'…|&+*]|\.(?![A-Za-z0-9])|[^\x00-\x7f]")
_CHAIN = 32
"""Names joined by signs that are followed at once, each by the next."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A name that was meant as a medium or a text, but cannot be one, and what is there instead."""

    path: str
    sight: Sight


@dataclass(frozen=True, slots=True)
class Note:
    """A word that looks like the name of a medium or a text and goes as a word, and what is there instead."""

    path: str
    sight: Sight


@dataclass(frozen=True, slots=True)
class Reading:
    """A line as the parts of a message, and what is to be said about it.

    ``problems`` keep it from being sent, ``notes`` do not. A text that it names with ``@`` is a ``TextFile`` whose
    words are its name as it was typed: the text itself is not read yet.
    """

    parts: tuple[Text | MediaRef, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def media(self) -> tuple[MediaRef, ...]:
        """The media in order."""
        return tuple(part for part in self.parts if isinstance(part, MediaRef))


_Found = MediaRef | TextFile | Problem | Note | None


def read(line: str, look: Look, near: Near = none_near) -> Reading:
    """The parts of a line: every mention of a medium is replaced by the medium, all else stays as it was typed."""
    names = Names(line, look, near)
    parts: list[Text | MediaRef] = []
    problems: list[Problem] = []
    notes: dict[int, Note] = {}  # by where the name ends: of "first=gone.png" only "gone.png" is spoken of
    start = at = 0
    last = -1  # where the name before ended
    while at < len(line):
        if line[at] == "`":
            at = _after_literal(line, at)
            continue
        if not (_may_begin(line, at) or _goes_on(line, last, at)):
            at += 1
            continue
        end, found = _mention(names, at)
        match found:
            case MediaRef():
                notes = {place: note for place, note in notes.items() if place <= at}
                parts += _text(line[start:at])
                parts.append(found)
                start = end
            case TextFile():
                parts += _text(line[start:at])
                parts.append(TextFile(line[at + 1 : end], found.source))
                start = end
            case Problem():
                problems.append(found)
            case Note():
                notes[end] = found
        if found is not None and not (isinstance(found, Note) and _is_sign(line[at])):
            last = end
        at = at + 1 if isinstance(found, Note) else end  # other names may lie in it
    said = tuple(dict.fromkeys(notes.values()))
    return Reading((*parts, *_text(line[start:])), tuple(problems), said)


def _text(words: str) -> list[Text]:
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
    return (
        before.isspace()
        or before in _BEFORE
        or _unspaced(before)
        or (before > "\x7f" and unicodedata.category(before) in _OPENS)
    )


def _goes_on(line: str, last: int, at: int) -> bool:
    """Whether only signs lie between the name before, which ended at ``last``, and here."""
    return 0 <= last < at and not line[at].isspace() and all(map(_is_sign, line[last:at]))


def _is_sign(letter: str) -> bool:
    return not (letter.isalnum() or letter.isspace() or letter == "`")


def _unspaced(letter: str) -> bool:
    """Whether a letter is of a script that puts no spaces between words (Chinese, Japanese, Thai, …)."""
    return "\u0e00" <= letter <= "\u0eff" or "\u3040" <= letter <= "\u9fff" or "\uf900" <= letter <= "\ufaff"


def _mention(names: Names, at: int) -> tuple[int, _Found]:
    """What begins here, and where it ends; ``None`` is a word."""
    line = names.line
    if match := _DATA.match(line, at):
        return match.end(), _medium(match.group(), _data_kind(match.group(1)))
    if match := _WEB.match(line, at):
        return _web(names, match.group(), at)
    if match := _FOREIGN.match(line, at):
        address = _trimmed(match.group())
        return at + len(address), Problem(address, "foreign") if suffix_of(address) in CERTAIN else None
    if line[at] in _QUOTES and (quoted := _quoted(names, at)) is not None:
        return quoted
    if (exact := _exact(names, at)) is not None:
        return exact
    if (alike := _alike(names, at)) is not None:
        return alike
    if line[at] == "@" and at + 1 < len(line) and not line[at + 1].isspace():
        end, found = _mention(names, at + 1)
        if found is None or (isinstance(found, (Problem, Note)) and found.sight != "other"):
            text_end, text = _text_file(names, at + 1)
            end, found = (text_end, text) if text is not None else (end, found)
        if found is not None:
            return end, found
    return _pointed_out(names, at)


def _exact(names: Names, at: int, depth: int = 0) -> tuple[int, MediaRef] | None:
    """A medium whose very name begins here. One before a sign that names may hold must be followed by another."""
    for end, path, weak in names.at(at):
        sight = names.look(path)
        if sight in MODALITIES and (not weak or _followed(names, end, depth)):
            return end, _medium(path, sight)
    return None


def _followed(names: Names, at: int, depth: int) -> bool:
    """Whether another medium begins after nothing but signs."""
    line = names.line
    while at < len(line) and _is_sign(line[at]):
        if depth >= _CHAIN or _begins_medium(names, at, depth + 1):
            return True
        at += 1
    return at < len(line) and not line[at].isspace() and _begins_medium(names, at, depth + 1)


def _begins_medium(names: Names, at: int, depth: int = 0) -> bool:
    line = names.line
    if match := _WEB.match(line, at):
        return isinstance(_web(names, match.group(), at)[1], MediaRef)
    if line[at] in _QUOTES and (quoted := _quoted(names, at)) is not None:
        return isinstance(quoted[1], MediaRef)
    return _exact(names, at, depth) is not None


def _alike(names: Names, at: int) -> tuple[int, MediaRef] | None:
    """The one medium that a name beginning here can only mean, unless another's very name lies in it."""
    for end, path, weak in names.at(at):
        found = names.near(path)
        if found is None or (weak and not _followed(names, end, 0)):
            continue
        inside = (place for place in range(at + 1, end) if _may_begin(names.line, place))
        if all(_exact(names, place) is None for place in inside):
            return end, _medium(found, names.look(found))
    return None


def _medium(source: str, kind: Sight) -> MediaRef:
    assert kind in MODALITIES
    return MediaRef(kind, source)


def _data_kind(word: str) -> Modality:
    match word.lower():
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "image"


def _trimmed(address: str) -> str:
    """An address without the signs after it."""
    while address[-1] in TRAILING:
        opening = _CLOSING.get(address[-1])
        if opening and address.count(opening) >= address.count(address[-1]):
            break
        address = address[:-1]
    return address


def _web(names: Names, address: str, at: int) -> tuple[int, MediaRef | Note | None]:
    """A web address: media by the suffix of its path, else by what ``look`` hears from the server."""
    for cut in _WEB_END.finditer(address):  # another name may be joined to it by a sign
        if _followed(names, at + cut.end(), 0):
            address = address[: cut.end()]
            break
    address = _trimmed(address)
    end = at + len(address)
    try:
        kind: Sight | None = CERTAIN.get(suffix_of(unquote(urlsplit(address).path)))
    except ValueError:  # not an address after all
        return end, None
    kind = kind or names.look(address)
    if kind == "unreachable":
        return end, Note(address, kind)
    return end, _medium(address, kind) if kind in MODALITIES else None


def _quoted(names: Names, at: int) -> tuple[int, MediaRef | Problem | None] | None:
    """A name in quotes, or ``None`` where the quotes hold something else."""
    line = names.line
    close = line.find(_QUOTES[line[at]], at + 1, at + LONGEST_NAME)
    inside = line[at + 1 : close]
    if close < 0 or not inside.strip() or "\n" in inside:
        return None
    for path in spellings(inside):
        sight = names.look(path)
        if sight in MODALITIES:
            return close + 1, _medium(path, sight)
    for path in spellings(inside):
        if (found := names.near(path)) is not None:
            return close + 1, _medium(found, names.look(found))
    if suffix_of(inside) not in CERTAIN or "`" in inside or line[close + 1 : close + 2] in ("\\", "/", "'"):
        return None
    if any(character.isspace() for character in inside) and read(inside, names.look, names.ask_near).media:
        return None  # a quoted sentence that ends in a name
    path = next((path for path in spellings(inside) if names.look(path) != "missing"), inside)
    return close + 1, Problem(path, names.look(path))


def _text_file(names: Names, at: int) -> tuple[int, TextFile | Problem | Note | None]:
    """A text named after an ``@``: a file that is there, or what was clearly meant as one."""
    line = names.line
    ends: list[tuple[int, str]] = []
    if line[at] in _QUOTES and (close := line.find(_QUOTES[line[at]], at + 1, at + LONGEST_NAME)) > 0:
        ends.append((close + 1, line[at + 1 : close]))
    elif (word := WORD.match(line, at)) is not None:
        stops = {match.start() for match in _CUTS.finditer(line, at + 1, word.end())}
        ends += [(end, line[at:end]) for end in sorted({word.end(), *stops}, reverse=True)]
    for end, name in ends:
        for path in spellings(name):
            match names.look(path):
                case "text":
                    return end, TextFile("", path)
                case "other" | "special":
                    return end, Problem(path, names.look(path))
                case "folder" if re.search(r"[/\\.]", name):
                    return end, Problem(path, "folder")
        alike = names.ask_near(name) if suffix_of(name) in TEXTS else ()
        if len(alike) == 1 and names.look(alike[0]) == "text":
            return end, TextFile("", alike[0])
    for end, name in reversed(ends):
        if suffix_of(name) in TEXTS:
            sight = names.look(name)
            return end, Problem(name, sight) if re.search(r"[/\\\s]", name) else Note(name, sight)
    return at, None


def _pointed_out(names: Names, at: int) -> tuple[int, Problem | Note | None]:
    """A name that is no medium but looks like one, or a word. One that was clearly meant as one is a problem."""
    line = names.line
    word = WORD.match(line, at)
    assert word is not None
    if line[at] in _BEFORE:
        return at + 1, None
    found = ENDS.finditer(line, at, min(len(line), word.end() + 1))
    ends = [match.end() for match in found if match["weak"] is None]
    if not ends or ends[-1] > word.end():
        return at + 1, None
    end = ends[-1] if _MARKED.match(line, at) or re.search(r"[/\\]", line[at : ends[-1]]) else ends[0]
    name = line[at:end]
    path = name if DRIVE.match(name) else re.sub(r"\\([^A-Za-z0-9])", r"\1", name)
    if _OTHER_HOST.match(name):
        return end, Problem(name, "foreign")
    if name[:5].lower() == "file:":
        path = next(spellings(name))
    if suffix_of(path) not in CERTAIN:
        return at + 1, None
    there = next((found for found in spellings(name) if names.look(found) != "missing"), path)
    sight = names.look(there)
    if sight in MODALITIES:  # a name that another sign follows
        return at + 1, None
    if sight in ("other", "text") or _MARKED.match(name) or re.search(r"[/\\]", name):
        return end, Problem(there, sight)
    return (at + 1, None) if _AUSTRALIA.search(name) else (end, Note(path, sight))
