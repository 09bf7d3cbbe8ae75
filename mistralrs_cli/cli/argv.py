"""What an option parser forgets: the order of media across ``--image``, ``--audio``, ``--video`` and ``--file``.

::

    --image a.jpg b.jpg --audio c.wav -i "…"   →   --image a.jpg --image b.jpg --audio c.wav -i "…"
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import OptionError
from ..messages import Modality

KINDS = ("auto", "text", "multimodal", "vision")
REPEATED = "--calibrate"
"""Another option that takes all values that follow it."""

Attachment = Modality | Literal["file", "clipboard", "screenshot"]
"""What is given beside the question: a medium, the ``file`` of a text, or what the desktop has."""

MEDIA_FLAGS: dict[str, Attachment] = {"--image": "image", "--audio": "audio", "--video": "video", "--file": "file"}
CAPTURES: dict[str, Attachment] = {"--clipboard": "clipboard", "--screenshot": "screenshot"}
"""Flags that are media without a value."""

BARE_FLAGS = {"--thinking": ("true", "false")}
"""Options that may stand without a value, and the values they know; bare means the first."""

CHOOSING = "--resume"
"""The option that opens a list of chats where no value follows."""

ANYWHERE = {"-v": False, "--verbose": False, "--seed": True}
"""Options that may stand before the command, too, and whether they take a value."""

SWITCHED = ("true", "false")
"""What a flag may be set to: ``--json=false`` is for one that is on in the configuration file."""

NUMBER = re.compile(r"-\.?\d")


@dataclass(frozen=True, slots=True)
class Arranged:
    """A command line with one value after each media flag, its media in the order given, and flags with ``=false``."""

    words: list[str]
    media: tuple[tuple[Attachment, str], ...]
    off: frozenset[str] = frozenset()


def arrange(words: Sequence[str], options: Mapping[str, bool]) -> Arranged:
    """Spread media flags that hold several values, and note the order of all media.

    ``options`` names every option of the command and says whether it takes a value, so that ``-i --image`` is a
    question about a flag. Raises ``OptionError`` for a media flag without a value.
    """
    rest = deque(words)
    arranged: list[str] = []
    media: list[tuple[Attachment, str]] = []
    off: set[str] = set()
    while rest:
        word = rest.popleft()
        name, equals, value = word.partition("=")
        if word == "--":
            arranged += [word, *rest]
            break
        if name in MEDIA_FLAGS and name in options:
            values = [value] if equals else take_values(rest, options)
            if not all(values) or not values:
                raise OptionError(f"{name} needs a file or an address.", f"For example: {name} {EXAMPLES[name]}")
            arranged += [item for value in values for item in (name, value)]
            media += [(MEDIA_FLAGS[name], value) for value in values]
        elif name == REPEATED and name in options and not equals:
            arranged += [item for value in take_values(rest, options) or [""] for item in (name, value)]
        elif word in BARE_FLAGS:
            known = BARE_FLAGS[word]
            arranged.append(f"{word}={rest.popleft() if rest and rest[0] in known else known[0]}")
        elif word == CHOOSING and word in options and not (rest and names_chat(rest[0])):
            arranged.append(f"{word}=")
        elif equals and value in SWITCHED and not options.get(name, True):
            (off.discard if value == "true" else off.add)(name)
            arranged += [name] if value == "true" else []
        else:
            if word in CAPTURES and word in options:
                media.append((CAPTURES[word], ""))
            off.discard(word)
            arranged.append(word)
            if rest and awaits_value(word, options):
                arranged.append(rest.popleft())
    return Arranged(arranged, tuple(media), frozenset(off))


EXAMPLES = {"--image": "photo.jpg", "--audio": "sound.wav", "--video": "clip.mp4", "--file": "notes.txt"}


def command_first(words: Sequence[str]) -> list[str]:
    """A command line with the options that came before the command right behind it."""
    early: list[str] = []
    rest = deque(words)
    while rest and (name := rest[0].partition("=")[0]) in ANYWHERE:
        word = rest.popleft()
        early.append(word)
        if ANYWHERE[name] and word == name and rest:
            early.append(rest.popleft())
    if not rest or rest[0].startswith("-"):
        return [*words]
    return [rest[0], *early, *list(rest)[1:]]


def take_values(rest: deque[str], options: Mapping[str, bool]) -> list[str]:
    """Remove the values that follow a media flag, up to the next option or the kind."""
    values: list[str] = []
    while rest and is_value(rest[0], options, first=not values):
        values.append(rest.popleft())
    return values


def is_value(word: str, options: Mapping[str, bool], *, first: bool) -> bool:
    """Whether a word after a media flag is a medium; a later ``vision`` is the kind, not a file."""
    if not word.startswith("-"):
        return first or word not in KINDS
    if word == "-" or NUMBER.match(word):
        return True
    return first and not word.startswith("--") and word[:2] not in options


def names_chat(word: str) -> bool:
    """Whether a word after ``--resume`` is its value: neither an option nor a kind."""
    return not word.startswith("-") and word not in KINDS


def awaits_value(word: str, options: Mapping[str, bool]) -> bool:
    """Whether the next word belongs to this one: ``--seed``, ``-m``, or ``-vm`` (but not ``-mdemo``)."""
    if word.startswith("--"):
        return options.get(word, False)
    if word.startswith("-"):
        for position, letter in enumerate(word[1:], start=2):
            takes_value = options.get(f"-{letter}")
            if takes_value is None:
                return False
            if takes_value:
                return position == len(word)
    return False
