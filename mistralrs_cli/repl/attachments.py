"""Media and texts for a question: found by their names, read, and decoded as the model wants them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..conversation.store import Store
from ..errors import OptionError
from ..events import MediaReport
from ..media import mentions
from ..media.formats import identify
from ..media.kinds import recognized
from ..media.lookup import Lookup
from ..media.mentions import Reading
from ..media.texts import Found, read_text
from ..messages import (
    DecodedMedia,
    Media,
    MediaBytes,
    MediaOptions,
    MediaRef,
    Message,
    Modality,
    Part,
    Text,
    TextFile,
)
from ..options import MediaPolicy
from ..terminal.console import Console
from ..terminal.waiting import waited
from ..wording import in_chat
from .detector import Detector, is_animation
from .names import exists, expanded, is_name, name
from .remarks import complaint, noted

if TYPE_CHECKING:
    from ..families import Family

PUNCTUATION = " \t\r\n()[]{}<>,;.:\"'“”\u2018’«»*&…"
"""What people write between and around names; alone it asks nothing."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A medium or text that waits for its question; ``report`` says what the model gets, once that is known."""

    medium: Media | TextFile
    report: MediaReport | None = None

    @property
    def gets(self) -> str:
        """What the model gets of it, in a few words."""
        if isinstance(self.medium, TextFile):
            lines = self.medium.text.count("\n") - 4  # without its name and the fence
            return f"({lines:,} line{'' if lines == 1 else 's'} of text)"
        if self.report is None:
            return f"({self.medium.kind})"
        if not self.report.tokens:  # a server does not say
            return f"({self.report.summary})"
        return f"{in_chat(self.report.summary)} → {self.report.tokens:,} tokens"


class Attachments:
    """Finds and reads media for one model; every medium's bytes go to the store.

    For a model elsewhere nothing is decoded (``decodes``): media have their bytes, and videos with ``soundtrack`` in
    their options stay whole.
    """

    def __init__(
        self, store: Store, policy: MediaPolicy, console: Console | None = None, *, decodes: bool = True
    ) -> None:
        self.decodes = decodes
        self.store = store
        self.policy = policy
        self.console = console or Console()
        self.detector = Detector(policy)

    def read_line(self, line: str, family: Family, options: MediaOptions, model: str = "") -> Message:
        """A question, with the media it names decoded in their places and the texts it names before them.

        Raises ``MediaError`` for a name that was meant as a medium but is none, and for what cannot be used. What
        only looks like a name is noted and stays text. ``model`` is what errors call the model.
        """
        reading = self.mentioned(line, family)
        if reading.problems:
            raise complaint(reading.problems[0], self.policy)
        if reading.notes and not self.console.quiet:
            self.console.show(f"note: {noted(reading.notes, self.detector.reasons)}", dim=True)
        texts = dict.fromkeys(part.source for part in reading.parts if isinstance(part, TextFile))
        files = [self.text(source) for source in texts]
        parts: list[Part] = []
        for part in reading.parts:
            if isinstance(part, MediaRef):
                found = self.settled(self.fetched(replace(part, options=options)), family)
                parts += self.decoded_pages(found, family, model)
            elif parts and isinstance(parts[-1], Text):
                parts[-1] = Text(parts[-1].text + part.text)
            else:
                parts.append(Text(part.text))
        rest = [part.text for part in reading.parts if isinstance(part, Text) and not isinstance(part, TextFile)]
        if files and not "".join(rest).strip(PUNCTUATION):  # a text alone is a whole question
            parts = [part for part in parts if isinstance(part, Media)]
        for file in files:
            if self.console.interactive:
                self.console.show(f"{name(file.file.source)} ({file.summary})", dim=True)
        return Message("user", (*(file.file for file in files), *parts))

    def text(self, source: str) -> Found:
        """A text file. Raises ``MediaError`` where it cannot be read as one."""
        found = waited(f"Reading {name(source)}", partial(read_text, source), self.console)
        if found.note and not self.console.quiet:
            self.console.show(f"note: {found.note}", dim=True)
        return found

    def mentioned(self, line: str, family: Family) -> Reading:
        """A line with the media it names, not yet read."""
        lookup = Lookup()

        def near(path: str) -> tuple[str, ...]:
            try:
                return tuple(map(str, lookup.files(Path(path).expanduser())))
            except (OSError, RuntimeError, ValueError):
                return ()

        return waited(
            "Looking for the files of this line",
            partial(mentions.read, line, lambda path: self.detector.look(path, family), near),
            self.console,
        )

    def fetched(self, medium: MediaRef | MediaBytes) -> MediaBytes:
        """A medium with its bytes."""
        from ..media import fetch

        if isinstance(medium, MediaBytes):
            return medium
        if medium.digest is not None:
            return medium.as_bytes(self.store.read(medium))
        return waited(f"Reading {name(medium.source)}", partial(fetch, medium, self.policy), self.console)

    def settled(self, medium: MediaBytes, family: Family) -> MediaBytes:
        """A medium of the kind that its bytes show, where it is from the web: a server may err."""
        if medium.source[:4].lower() != "http" or (found := recognized(medium.data)) is None or found.kind is None:
            return medium
        moving = found.animated and "video" in family.modalities and is_animation(medium.data, medium.source)
        return replace(medium, kind="video" if moving else found.kind)

    def pages(self, medium: MediaRef | MediaBytes | TextFile) -> tuple[MediaBytes | TextFile, ...]:
        """A medium with its bytes read: a document's pages, a video and its audio track; a text with its words."""
        from ..media import in_pages, in_parts

        if isinstance(medium, TextFile):
            return (medium if medium.text else self.text(medium.source).file,)
        fetched = self.fetched(medium)
        split = in_parts if self.decodes else in_pages
        return waited(f"Reading {name(medium.source)}", lambda: split(fetched, self.policy), self.console)

    def decoded_pages(
        self, medium: MediaRef | MediaBytes, family: Family, model: str = ""
    ) -> list[DecodedMedia | MediaBytes | TextFile]:
        """A medium, or the pages of a document, decoded."""
        return [
            page if isinstance(page, TextFile) else self.decoded(page, family, model) for page in self.pages(medium)
        ]

    def decoded(self, medium: MediaRef | MediaBytes, family: Family, model: str = "") -> DecodedMedia | MediaBytes:
        """A medium with its bytes read, kept and decoded for a model, which errors call ``model``.

        For a model elsewhere it stays encoded, but an image that cannot be decoded is found here, too.
        """
        from ..families import require
        from ..media import decode

        require(family, model or family.name, [medium.kind])
        fetched = self.fetched(medium)
        if fetched.digest is None:
            fetched = replace(fetched, digest=self.store.keep(fetched.data))
        if not self.decodes:
            if fetched.kind == "image":
                decode(fetched, self.policy)
            return replace(fetched, format=identify(fetched.data))
        return decode(fetched, self.policy, rate=family.audio_rate, sampling=family.sampling)

    def named(
        self, kind: Modality, words: str, options: MediaOptions, family: Family, model: str = ""
    ) -> list[DecodedMedia | MediaBytes | TextFile]:
        """The media after ``/image`` and the like: paths, addresses and patterns, read and decoded, page by page.

        Raises ``OptionError`` where nothing is named, ``MediaError`` where one is not there or cannot be used.
        """
        sources = self.sources(kind, words, family)
        media = (MediaRef(kind, source, options=options) for source in sources)
        return [page for medium in media for page in self.decoded_pages(medium, family, model)]

    def texts(self, words: str, family: Family) -> list[TextFile]:
        """The texts after ``/file``. Raises what ``named`` does."""
        return [self.text(source).file for source in self.sources("file", words, family)]

    def sources(self, command: str, words: str, family: Family) -> list[str]:
        """The paths and addresses after a command, patterns written out. Raises ``OptionError`` for other words."""
        if not words.strip():
            raise OptionError(f"/{command} needs a file.", f"For example: /{command} {EXAMPLES[command]}")
        return [source for word in self.words(command, words.strip(), family) for source in expanded(word, command)]

    def words(self, command: str, line: str, family: Family) -> list[str]:
        """The names in a line: as the grammar of mentions finds them, else as a shell would split it.

        Raises ``OptionError`` where other words stand beside them.
        """
        if exists(line):
            return [line]
        reading = self.mentioned(line, family)
        rest = " ".join(part.text for part in reading.parts if isinstance(part, Text)).split()
        if reading.media and not reading.problems and not any(word.strip(PUNCTUATION + "?!") for word in rest):
            return [medium.source for medium in reading.media]
        try:
            words = shlex.split(line)
        except ValueError:  # an apostrophe in a name
            words = line.split()
        plain = [word for word in (rest if reading.media else words) if not is_name(word)]
        if plain and (reading.media or len(words) > 1):
            raise OptionError(
                f"/{command} takes files only, and “{' '.join(plain)}” is none.",
                "Ask on the next line, or name the file in the question itself; quote a name with spaces.",
            )
        return words


EXAMPLES = {"image": "photo.jpg", "audio": "sound.wav", "video": "clip.mp4", "file": "notes.txt"}
