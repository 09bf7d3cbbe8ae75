"""Media for a question: found where the user says, read, and decoded as the model wants them."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..conversation.store import Store
from ..errors import MediaDecodeError, MediaError, MediaNotFound, MistralrsError, OptionError
from ..events import MediaReport
from ..media import formats, mentions
from ..media.kinds import kind_of_file
from ..media.labels import label
from ..media.mentions import Problem, Reading, Sight
from ..media.suffixes import CERTAIN, suffix_of, suggested
from ..messages import Media, MediaOptions, Message, Modality, Part
from ..options import MediaPolicy

if TYPE_CHECKING:
    from ..families import Family

LITERAL = "Correct the name, or write it in `backquotes` to keep it as words."


@dataclass(frozen=True, slots=True)
class Staged:
    """A medium that waits for its question; ``report`` says what the model gets, once that is known."""

    medium: Media
    report: MediaReport | None = None


class Attachments:
    """Finds and reads media for one model; every medium's bytes go to the store."""

    def __init__(self, store: Store, policy: MediaPolicy) -> None:
        self.store = store
        self.policy = policy

    def read_line(self, line: str, family: Family, options: MediaOptions) -> Message:
        """A question, with the media it names decoded in their places.

        Raises ``MediaError`` for a name that was meant as a medium but is none, and for a medium that cannot be used.
        """
        reading = self.mentioned(line, family)
        if reading.problems:
            raise complaint(reading.problems[0])
        parts: list[Part] = [
            self.decoded(replace(part, options=options), family) if isinstance(part, Media) else part
            for part in reading.parts
        ]
        return Message("user", tuple(parts))

    def mentioned(self, line: str, family: Family) -> Reading:
        """A line with the media it names, not yet read."""
        return mentions.read(line, lambda path: self.look(path, family))

    def look(self, path: str, family: Family) -> Sight:
        """What is at a path or web address. Content decides; an animation is a clip for a model that sees clips."""
        if path[:4].lower() == "http":
            return self.announced(path)
        try:
            file = Path(path).expanduser()
            if not file.is_file():
                return "missing"
            with file.open("rb") as opened:
                head = opened.read(formats.HEAD)
        except PermissionError:
            return suggested(path) or "other"
        except (OSError, RuntimeError, ValueError):  # no such home, a name too long, a null byte
            return "missing"
        match formats.identify(head):
            case None:  # nothing that can be told by its first bytes
                return kind_of_file(file) or CERTAIN.get(suffix_of(path)) or "other"
            case formats.Format(kind=None):
                return "other"
            case formats.Format(kind="image", animated=True) if "video" in family.modalities and moves(file):
                return "video"
            case formats.Format(kind="video"):  # a container that may hold both
                return "audio" if suggested(path) == "audio" else kind_of_file(file) or "video"
            case formats.Format(kind=kind):
                return kind or "other"

    def announced(self, address: str) -> Sight:
        """The kind of medium that a web server says it would send."""
        from ..media.remote import content_type

        match content_type(address, self.policy).partition("/"):
            case "image", _, kind if not kind.startswith("svg"):
                return "image"
            case "audio", _, _:
                return "audio"
            case "video", _, _:
                return "video"
            case _:
                return "other"

    def decoded(self, medium: Media, family: Family) -> Media:
        """A medium with its bytes read, kept and decoded for a model."""
        from ..families import require
        from ..media import decode, fetch

        require(family, family.name, [medium.kind])
        if medium.data is None and medium.digest is not None:
            medium = replace(medium, data=self.store.read(medium))
        medium = fetch(medium, self.policy)
        if isinstance(medium.data, bytes) and medium.digest is None:
            medium = replace(medium, digest=self.store.keep(medium.data))
        return decode(medium, self.policy, rate=family.audio_rate, sampling=family.sampling)

    def named(self, kind: Modality, words: str, options: MediaOptions, family: Family) -> list[Media]:
        """The media after ``/image`` and the like: paths, addresses and patterns, read and decoded.

        Raises ``OptionError`` where nothing is named, ``MediaError`` where one is not there or cannot be used.
        """
        if not words.strip():
            raise OptionError(f"/{kind} needs a file.", f"For example: /{kind} {EXAMPLES[kind]}")
        sources = [source for word in self.words(words.strip(), family) for source in expanded(word)]
        return [self.decoded(Media(kind, source, options=options), family) for source in sources]

    def words(self, line: str, family: Family) -> list[str]:
        """The names in a line: as the grammar of mentions finds them, else as a shell would split it."""
        if exists(line):
            return [line]
        reading = self.mentioned(line, family)
        if reading.media and not reading.problems and all(is_blank(part) for part in reading.parts):
            return [medium.source for medium in reading.media]
        try:
            return shlex.split(line)
        except ValueError:  # an apostrophe in a name
            return line.split()


EXAMPLES: dict[Modality, str] = {"image": "photo.jpg", "audio": "sound.wav", "video": "clip.mp4"}


def is_blank(part: Part) -> bool:
    """Whether a part is a medium, or what stands between two names."""
    return isinstance(part, Media) or not part.text.strip(" ,\n\t")


def exists(path: str) -> bool:
    """Whether there is a file of this name."""
    try:
        return Path(path).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def expanded(word: str) -> list[str]:
    """The files a pattern stands for, in the order of their names; any other word stands for itself."""
    if exists(word) or not glob.has_magic(word):
        return [word]
    found = sorted(glob.glob(str(Path(word).expanduser()), recursive=True))  # noqa: PTH207
    files = [path for path in found if Path(path).is_file()]
    if not files:
        raise MediaNotFound(f"No file fits {word}", "Check the folder and the pattern.")
    return files


def complaint(problem: Problem) -> MediaError:
    """What to say about a name that was meant as a medium."""
    path = label(problem.path)
    if problem.sight == "other":
        try:
            with Path(problem.path).expanduser().open("rb") as file:
                found = formats.identify(file.read(formats.HEAD))
        except OSError:
            found = None
        what = found.name if found else "empty, or nothing that can be read"
        return MediaDecodeError(f"{path} is {what}, not a picture, sound or clip.", LITERAL)
    if glob.has_magic(problem.path):
        return MediaNotFound(f"No such file: {path}", f"/{suggested(path) or 'image'} {path} attaches what fits.")
    return MediaNotFound(f"No such file: {path}", nearby(problem.path) or LITERAL)


def nearby(path: str) -> str | None:
    """A hint that names a file of nearly the same name."""
    import difflib

    try:
        folder = Path(path).expanduser().parent
        names = [entry.name for entry in folder.iterdir()]
    except (OSError, RuntimeError, ValueError):
        return None
    close = difflib.get_close_matches(Path(path).name, names, n=1, cutoff=0.75)
    return f"Did you mean {close[0]!r}? Or write it in `backquotes` to keep it as words." if close else None


def moves(path: Path) -> bool:
    """Whether a picture that could be an animation has more than one frame."""
    from ..media.image import opened

    try:
        with opened(path.read_bytes(), str(path), MediaPolicy()) as image:
            return getattr(image, "n_frames", 1) > 1
    except (OSError, MistralrsError):
        return False


def sources(media: Iterable[Media]) -> str:
    """The names of media for a line: the last part of each path."""
    return ", ".join(name(medium.source) for medium in media)


def name(source: str) -> str:
    """The last part of a source, short enough for a line."""
    if source[:5].lower() == "data:":
        return "data"
    short = source.rstrip("/").replace("\\", "/").rpartition("/")[2].partition("?")[0] or source
    return short if len(short) <= 40 else short[:20] + "…" + short[-19:]
