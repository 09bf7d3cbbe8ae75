"""What a container says of its video frames, read without decoding any."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import MediaDecodeError, MediaTooLarge
from . import ffmpeg
from .labels import label
from .streams import Stream, Streams
from .timeline import Timeline

_DEFAULT_FPS = 25.0
_KEY, _HIDDEN = 1, 4
# what opening a file and filling the decoder costs, in frames
_OPENING = 60
# a day at 60 frames a second; more is a file made to fill the memory
_MOST_FRAMES = 24 * 3600 * 60


@dataclass(frozen=True, slots=True)
class Packets:
    """Time stamps in ``base`` seconds, ascending: of all frames (``None`` where they carry none), and of key frames.

    ``width`` and ``height`` are as stored, before rotation.
    """

    stamps: tuple[int, ...] | None
    keys: tuple[int, ...]
    base: tuple[int, int]
    timeline: Timeline
    width: int
    height: int

    def runs(self, indices: Sequence[int]) -> list[tuple[int, list[int]]] | None:
        """The wanted frames as runs (the stamp of a key frame, stamps of wanted frames after it), if decoding only
        those runs is much cheaper than decoding everything."""
        if self.stamps is None or len(set(self.stamps)) < len(self.stamps) or not self.keys:
            return None
        runs: dict[int, list[int]] = {}
        for index in indices:
            place = bisect_right(self.keys, self.stamps[index]) - 1
            if place < 0:
                return None
            runs.setdefault(self.keys[place], []).append(self.stamps[index])
        cost = sum(
            bisect_right(self.stamps, wanted[-1]) - bisect_right(self.stamps, key) + _OPENING
            for key, wanted in runs.items()
        )
        return list(runs.items()) if cost < len(self.stamps) * 0.6 else None


def read_packets(file: ffmpeg.File, stream: Stream) -> Packets:
    """Go through the packets of a video stream; milliseconds for a minute of video.

    Raises:
        MediaDecodeError: not one packet in it.
        MediaTooLarge: more frames than any video has.
    """
    shown: list[tuple[int, int]] = []
    keys: list[int] = []
    stamped = True
    base, size = (1, round(_DEFAULT_FPS)), (0, 0)
    arguments = ["-copyts", "-map", f"0:{stream.index}", "-c", "copy", "-f", "framecrc", "-"]
    with ffmpeg.run(file, arguments) as run:
        for raw in run.output:
            match raw.decode(errors="replace").replace(",", " ").split():
                case ["#tb", _, fraction]:
                    over, under = fraction.split("/")
                    base = int(over), int(under)
                case ["#dimensions", _, text]:
                    across, down = text.split("x")
                    size = int(across), int(down)
                case [first, decoding, showing, duration, _, _, *more] if first.isdigit():
                    flags = next((int(word[2:], 16) for word in more if word.startswith("F=")), _KEY)
                    stamp = integer(showing)
                    stamped &= stamp is not None
                    if stamp is None:
                        stamp = integer(decoding)
                    if stamp is None:
                        stamp = len(shown)
                    if flags & _KEY:
                        keys.append(stamp)
                    if not flags & _HIDDEN:  # an edit list shows only a part
                        shown.append((stamp, integer(duration) or 0))
                    if len(keys) + len(shown) > 2 * _MOST_FRAMES:
                        raise MediaTooLarge(f"{label(file.source)} has too many frames", "Give a shorter one.")
    if not shown:
        raise ffmpeg.failure(file.source, "a video", run)
    shown.sort()
    stamps = tuple(stamp for stamp, _ in shown)
    timeline = timed(stamps, shown[-1][1], base)
    return Packets(stamps if stamped else None, tuple(sorted(keys)), base, timeline, *size)


def no_video(source: str, streams: Streams) -> MediaDecodeError:
    """The error for a file in which ffmpeg finds no video."""
    if streams.of("audio"):
        return MediaDecodeError(f"{label(source)} has no video in it, only audio", "Give it with --audio.")
    if streams.streams:
        return MediaDecodeError(f"{label(source)} has no video in it", "Check that the file plays.")
    return ffmpeg.failure(source, "a video", streams.run)


def integer(text: str) -> int | None:
    """A time stamp; ``None`` where there is none, which ffmpeg writes as NOPTS or as the smallest of numbers."""
    value = int(text) if text.lstrip("-").isdigit() else None
    return value if value is not None and value > -(1 << 62) else None


def timed(stamps: Sequence[int], last: int, base: tuple[int, int]) -> Timeline:
    """The timeline of these time stamps; a last frame of unknown duration lasts as long as the average one."""
    over, under = base
    average = (stamps[-1] - stamps[0]) / max(1, len(stamps) - 1) or under / over / _DEFAULT_FPS
    end = stamps[-1] + (last if last > 0 else average)
    return Timeline(tuple((stamp - stamps[0]) * over / under for stamp in stamps), (end - stamps[0]) * over / under)
