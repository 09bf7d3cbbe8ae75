"""What streams a container holds, as ffmpeg lists them, and which of them a player would take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from ..errors import MediaDecodeError
from . import ffmpeg
from .labels import label

Kind = Literal["video", "audio"]

_INPUT = re.compile(r"\[info\] Input #0, (\S+), from ")
_STREAM = re.compile(r"\[info\] +Stream #0:(\d+)(?:\[0x\w+\])?(?:\(([^)]*)\))?: (Video|Audio): (.*)")
_ENTRY = re.compile(r"\[info\] +Stream (?:#0:\d+|group)|\[info\] +(?:Program|Chapter)|\[info\] \S")
_DURATION = re.compile(r"\[info\]   Duration: (\d+):(\d+):([\d.]+)")
_TITLE = re.compile(r"\[info\] +title +: (.*)")
_FLAGS = re.compile(r"((?: \([a-z][a-z ]*\))*)$")
_TAG = re.compile(r" \((\w{4}) / 0x")
_SIZE = re.compile(r", (\d+)x(\d+)")
_COLOURS = re.compile(r"[(, ]([\w-]+)/([\w-]+)/([\w-]+)[,)]")
# not a video but an image beside one: the cover of an album, the thumbnails of chapters
_COVERS = ("attached pic", "timed thumbnails", "still image")
# sample entries of MP4 whose content is encrypted: common encryption, FairPlay, Audible
_PROTECTED = ("encv", "enca", "drms", "drmi", "drmv", "drma", "aavd")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of images or audio. ``index`` is its number in the file; ``default`` says that the file marks it
    as the one to play; ``is_cover`` that it is an image beside the video. ``matrix``, ``primaries`` and ``transfer``
    are ffmpeg's names for the colours, ``unknown`` where the file says nothing."""

    index: int
    kind: Kind
    codec: str
    default: bool = False
    is_cover: bool = False
    protected: bool = False
    language: str = ""
    title: str = ""
    width: int = 0
    height: int = 0
    matrix: str = "unknown"
    primaries: str = "unknown"
    transfer: str = "unknown"

    @property
    def known(self) -> bool:
        """Whether ffmpeg knows the codec."""
        return self.codec not in ("none", "unknown", "")


@dataclass(frozen=True, slots=True)
class Streams:
    """What a file holds. ``format`` is ffmpeg's name of the container, empty where it is none; ``seconds`` is how
    long it claims to last, 0 where it says nothing; ``sure`` is false where ffmpeg says that it may be mistaken."""

    format: str
    streams: tuple[Stream, ...]
    run: ffmpeg.Run
    seconds: float = 0.0
    sure: bool = True
    protected: bool = False

    def of(self, kind: Kind) -> list[Stream]:
        """The streams of a kind that can be played, without covers; all of the kind where none can."""
        found = [stream for stream in self.streams if stream.kind == kind and not stream.is_cover]
        return [stream for stream in found if stream.known] or found

    def pick(self, kind: Kind) -> Stream | None:
        """The stream that a player takes: the first one marked as the default, else the first."""
        found = self.of(kind)
        return next((stream for stream in found if stream.default), found[0] if found else None)

    def note(self, picked: Stream) -> str:
        """A note that names the streams not taken; empty if there are none."""
        found = self.of(picked.kind)
        if len(found) < 2:
            return ""
        noun = "audio track" if picked.kind == "audio" else "video track"
        others = [f"{number}{_named(stream)}" for number, stream in enumerate(found, 1) if stream != picked]
        names = ", ".join(others[:_MOST_NAMED])
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        mark = ", the default one" if picked.default else ""
        return f"{noun} {found.index(picked) + 1} of {len(found)}{mark} (not taken: {names}{more})"


def _named(stream: Stream) -> str:
    language = f" {stream.language}" if stream.language not in ("", "und") else ""
    title = label(stream.title[:40]) + ("…" if len(stream.title) > 40 else "")
    return language + (f" “{title}”" if title else "")


def read_streams(file: ffmpeg.File) -> Streams:
    """The streams of a stored file; an empty list where it is nothing that ffmpeg reads."""
    listing = _Listing()
    with ffmpeg.run(file, [], listing) as run:
        run.read(0)
    return Streams(listing.format, tuple(listing.streams), run, listing.seconds, listing.sure, listing.protected)


@dataclass(slots=True)
class _Listing:
    """Reads the log of ffmpeg, line by line."""

    format: str = ""
    streams: list[Stream] = field(default_factory=list)
    seconds: float = 0.0
    sure: bool = True
    protected: bool = False
    titled: bool = False
    """Whether a title that comes now is that of the last stream."""

    def __call__(self, line: str) -> None:
        if match := _STREAM.match(line):
            self.streams.append(_stream(*match.groups()))
            self.titled = True
        elif match := _DURATION.match(line):
            hours, minutes, seconds = match.groups()
            self.seconds = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        elif match := _INPUT.match(line):
            self.format = match.group(1).rstrip(",")
        elif _ENTRY.match(line):
            self.titled = False
        elif self.titled and (match := _TITLE.match(line)):
            self.streams[-1] = replace(self.streams[-1], title=match.group(1))
        elif not line.startswith("[info] "):  # what the file itself says is indented there
            self.sure &= "misdetection possible" not in line
            self.protected |= "DRM" in line or "activation_bytes" in line


def _stream(number: str, language: str | None, kind: str, facts: str) -> Stream:
    flags = _FLAGS.search(facts)
    marks = re.findall(r"\(([^)]*)\)", flags.group(1)) if flags else []
    tag = _TAG.search(facts)
    size = _SIZE.search(facts)
    colours = _COLOURS.search(facts[tag.end() :] if tag else facts)
    return Stream(
        int(number),
        "video" if kind == "Video" else "audio",
        re.split(r"[ ,]", facts, maxsplit=1)[0],
        default="default" in marks,
        is_cover=any(mark in _COVERS for mark in marks),
        protected=tag is not None and tag.group(1) in _PROTECTED,
        language=language or "",
        width=int(size.group(1)) if size else 0,
        height=int(size.group(2)) if size else 0,
        **dict(zip(("matrix", "primaries", "transfer"), colours.groups(), strict=True)) if colours else {},
    )


def playable(streams: Streams, picked: Stream, source: str) -> Stream:
    """The stream, unless it is encrypted.

    Raises ``MediaDecodeError`` for a protected one: decoding it would give noise.
    """
    if picked.protected or streams.protected:
        raise MediaDecodeError(
            f"{label(source)} is protected (DRM): only its shop's own player can decode it",
            "Give a copy without protection.",
        )
    return picked
