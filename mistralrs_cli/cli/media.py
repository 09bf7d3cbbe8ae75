"""The media of a command line: fetched, then decoded as a model wants them, with progress shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..messages import DecodedMedia, MediaBytes, MediaFile, MediaRef, TextFile
from ..options import MediaPolicy
from ..terminal.console import Console
from ..terminal.waiting import waited

if TYPE_CHECKING:
    from ..attach.server import ServerEngine
    from ..loading import Checkpoint


def fetch_all(
    media: Sequence[MediaRef | MediaBytes | TextFile],
    policy: MediaPolicy,
    console: Console,
    *,
    server: ServerEngine | None = None,
) -> tuple[MediaBytes | TextFile, ...]:
    """The bytes of every medium, of a document those of each page, and every text.

    For a ``server`` that is not of this project, in forms that it may be expected to read.
    """
    fetched: list[MediaBytes | TextFile] = []
    for number, medium in enumerate(media, start=1):
        found = _fetched(medium, policy, console, _place(number, media), pages=server is not None)
        for each in found:
            if server is None or isinstance(each, TextFile):
                fetched.append(each)
            else:
                from ..media.served import as_sent

                fetched += as_sent(each, policy, ours=server.ours)
    return tuple(fetched)


def fetch_or_name_all(
    media: Sequence[MediaRef | MediaBytes | TextFile], policy: MediaPolicy, console: Console
) -> tuple[MediaBytes | MediaFile | TextFile, ...]:
    """``fetch_all``, but local audio and videos stay where they are."""
    from ..media import in_parts
    from ..media.sources import name

    found: list[MediaBytes | MediaFile | TextFile] = []
    for number, medium in enumerate(media, start=1):
        file = name(medium, policy) if isinstance(medium, MediaRef) else None
        if file is None:
            found += _fetched(medium, policy, console, _place(number, media))
        else:
            found += in_parts(file, policy)
    return tuple(found)


def _place(number: int, media: Sequence[object]) -> str:
    return f" ({number} of {len(media)})" if len(media) > 1 else ""


def _fetched(
    medium: MediaRef | MediaBytes | TextFile, policy: MediaPolicy, console: Console, place: str, *, pages: bool = False
) -> Sequence[MediaBytes | TextFile]:
    from ..media import in_pages, in_parts
    from ..media.labels import label
    from ..media.texts import read_text

    reading = f"Reading {label(medium.source)}{place}"
    if isinstance(medium, TextFile) and medium.text:  # from the clipboard
        return [medium]
    if isinstance(medium, TextFile):
        text = waited(reading, partial(read_text, medium.source), console)
        if text.note:
            console.note(text.note)
        return [text.file]
    found = fetch_medium(medium, policy, console, place)
    return waited(reading, lambda: in_pages(found, policy) if pages else in_parts(found, policy), console)


def fetch_medium(medium: MediaRef | MediaBytes, policy: MediaPolicy, console: Console, place: str = "") -> MediaBytes:
    """The bytes of one medium. The status line names it, and its ``place`` among others, where it takes long."""
    from ..media.labels import label
    from ..media.sources import fetch

    reading = f"Reading {label(medium.source)}{place}"
    if medium.source == "-":  # a thread that holds stdin would keep the process from ending
        with console.status(reading):
            return fetch(medium, policy, sys.stdin.buffer if sys.stdin is not None else None)
    return waited(reading, partial(fetch, medium, policy), console)


@dataclass(frozen=True, slots=True)
class Capture(MediaRef):
    """What the clipboard holds or the screen shows, by its ``source``; taken when the command runs."""

    def taken(self) -> list[MediaRef | MediaBytes | TextFile]:
        """It. Raises ``OptionError`` where there is nothing, or no way to take it."""
        from ..media.clipboard import media_or_text, screenshot

        found = [screenshot()] if self.source == "screenshot" else media_or_text()
        return [each if isinstance(each, TextFile) else replace(each, options=self.options) for each in found]


def captured(media: Sequence[MediaRef | MediaBytes | TextFile]) -> tuple[MediaRef | MediaBytes | TextFile, ...]:
    """The same media, with what is taken of the desktop in its place."""
    found: list[MediaRef | MediaBytes | TextFile] = []
    for medium in media:
        found += medium.taken() if isinstance(medium, Capture) else [medium]
    return tuple(found)


def decode_all(
    media: Sequence[MediaBytes | MediaFile | TextFile], checkpoint: Checkpoint, policy: MediaPolicy, console: Console
) -> tuple[DecodedMedia | TextFile, ...]:
    """Images, audio and video frames as the checkpoint's family wants them, with a note on what was left out. Texts
    stay."""
    from ..media import decode
    from ..media.labels import notes_on

    texts = tuple(each for each in media if isinstance(each, TextFile))
    if len(texts) == len(media):
        return texts
    family = checkpoint.family
    decoded: list[DecodedMedia | TextFile] = []
    with console.status("Decoding media", len(media)) as status:
        for each in media:
            if isinstance(each, TextFile):
                decoded.append(each)
            else:
                decoded.append(decode(each, policy, rate=family.audio_rate, sampling=family.sampling))
            status.advance()
    for medium in decoded:
        if isinstance(medium, TextFile):
            continue
        for note in notes_on(medium):
            console.note(note)
    return tuple(decoded)
