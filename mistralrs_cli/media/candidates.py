"""The names that may begin at a place of a line, and what is at the paths they would be. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from ..messages import MODALITIES, Modality
from .spellings import LONGEST_NAME, PAGES, shell_word, spellings
from .suffixes import CERTAIN, POSSIBLE, suggested

Absent = Literal["missing", "folder", "special", "dangling", "unreachable", "foreign"]
Sight = Modality | Literal["text", "other"] | Absent
Look = Callable[[str], Sight]
"""Says what is at a path or web address: a medium of a kind, a text, something else, or why it cannot be read.

``special`` is a pipe, device or socket, ``dangling`` a link to nothing, ``unreachable`` a web address that gives
nothing, ``foreign`` an address of another machine or protocol.
"""
Near = Callable[[str], tuple[str, ...]]
"""The files that a name can mean where there is none of this very name."""

LONGEST = 12
"""Words that an unquoted name with spaces may have."""

TRAILING = ".,;:!?)]}>*\"'”’»…"
ENDS = re.compile(
    rf"\.(?:{'|'.join(sorted(CERTAIN | POSSIBLE, key=len, reverse=True))})"
    rf"(?:{PAGES})?"
    r"(?:(?=$|[\s,;:!?()\[\]{}<>\"'`*=|&+…]|\.(?![A-Za-z0-9])|[^\x00-\x7f])|(?P<weak>(?=[^A-Za-z0-9])))",
    re.IGNORECASE,
)
WORD = re.compile(r"(?:\\.|\S)+")
WORDS = re.compile(rf"(?:(?:\\.|\S)+[^\S\n]*){{1,{LONGEST}}}")
PATH = re.compile(r"[./\\]")


@dataclass(slots=True)
class Names:
    """What is known of the names in one line: each is looked up once."""

    line: str
    ask: Look
    ask_near: Near
    sights: dict[str, Sight] = field(default_factory=dict)
    alike: dict[str, tuple[str, ...]] = field(default_factory=dict)
    beginning: dict[int, list[tuple[int, str, bool]]] = field(default_factory=dict)

    def at(self, place: int) -> list[tuple[int, str, bool]]:
        """The names that may begin at a place of the line."""
        if place not in self.beginning:
            self.beginning[place] = list(candidates(self.line, place))
        return self.beginning[place]

    def look(self, path: str) -> Sight:
        if path not in self.sights:
            self.sights[path] = self.ask(path)
        return self.sights[path]

    def near(self, path: str) -> str | None:
        """The one medium that a path can only mean."""
        if path not in self.alike:
            self.alike[path] = self.ask_near(path) if suggested(path) or re.search(r"[/\\]", path) else ()
        found = self.alike[path]
        return found[0] if len(found) == 1 and self.look(found[0]) in MODALITIES else None


def none_near(path: str) -> tuple[str, ...]:
    return ()


def candidates(line: str, at: int) -> Iterator[tuple[int, str, bool]]:
    """Every name that may begin here, longest first: where it ends, the path it would be, and whether it is weak.

    A weak name ends before a sign that belongs to names (``a.jpg-old``), so that alone it is none.
    """
    word = WORD.match(line, at)
    assert word is not None
    if ("'" in word.group() or '"' in word.group()) and (shell := shell_word(line, at)) is not None:
        yield *shell, False
    words = WORDS.match(line, at)
    assert words is not None
    if "." not in words.group() and not PATH.search(word.group()):
        return
    reach = words.end()
    found = [match for match in ENDS.finditer(line, at, min(len(line), reach + 1)) if match.end() <= reach]
    ends = {match.end(): match["weak"] is not None for match in found}
    end = word.end()
    ends[end] = False
    while end > at + 1 and line[end - 1] in TRAILING:
        end -= 1
        ends[end] = False
    for end in sorted((end for end in ends if end - at <= LONGEST_NAME), reverse=True):
        name = line[at:end]
        if PATH.search(name.strip(".")):
            for path in spellings(name):
                yield end, path, ends[end]
