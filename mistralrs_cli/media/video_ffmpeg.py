"""Frames of a video, that is of any container ffmpeg reads: a pass over its packets, then the wanted ones decoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MediaTooLarge
from ..options import MediaPolicy
from . import ffmpeg
from .formats import beginning, identify
from .labels import label
from .limits import check_pixels
from .packets import Packets, integer, no_video, read_packets, timed
from .streams import Stream, playable, read_streams
from .timeline import Timeline
from .tones import to_srgb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]

# decoded frames that are kept take at most this many bytes; larger ones are scaled down, keeping the aspect
MEMORY = 2**30

# containers with an index of key frames, in which ffmpeg finds them reliably
_INDEXED = ("MP4", "MOV", "MKV", "WebM")
_BASE = re.compile(r"_showinfo_\d+ @ .*\bconfig in time_base: (\d+)/(\d+)")
_SHOWN = re.compile(r"_showinfo_\d+ @ .*\bn: *(\d+) pts: *(\S+) pts_time: *\S+(?: +duration: *(\d+))?")


@dataclass(slots=True)
class _Log:
    """What the decoder said: the time stamp of each frame, and the duration of the last, in ``base`` seconds."""

    base: tuple[int, int] = (1, 1)
    stamps: list[int | None] = field(default_factory=list)
    last: int = 0
    restarted: bool = False

    def __call__(self, line: str) -> None:
        if match := _SHOWN.search(line):
            number, stamp, duration = match.groups()
            self.restarted |= int(number) != len(self.stamps)
            self.stamps.append(integer(stamp))
            self.last = int(duration or 0)
        elif match := _BASE.search(line):
            self.base = int(match.group(1)), int(match.group(2))

    def timeline(self, packets: Packets) -> Timeline:
        """The decoded frames' own times, or evenly spaced ones if they carry none."""
        known = [stamp for stamp in self.stamps if stamp is not None]
        if tuple(known) == packets.stamps and self.base == packets.base:
            return packets.timeline
        if len(known) == len(self.stamps) and known == sorted(known):
            return timed(known, self.last, self.base)
        count, fps = len(self.stamps), packets.timeline.fps
        return Timeline(tuple(index / fps for index in range(count)), count / fps)

    def conditions(self, indices: Sequence[int]) -> list[str]:
        """Conditions that hold for these frames, by time stamp where each has its own: the decoder counts frames
        from 0 again when the image's size changes."""
        if len(set(self.stamps)) < len(self.stamps) or None in self.stamps:
            return [f"eq(n,{index})" for index in indices]
        return [f"eq(pts,{self.stamps[index]})" for index in indices]


def read_video(
    content: bytes | Path, source: str, policy: MediaPolicy, choose: Callable[[Timeline], tuple[int, ...]]
) -> tuple[Frames, tuple[int, ...], Timeline, tuple[int, int], str, bool]:
    """The frames that ``choose`` picks: ``uint8 [frames, height, width, 3]``, their indices, the video's timeline, the
    upright (width, height) of the source, a note, and whether there is an audio track beside it.

    Of several video tracks, the one that the file marks as the default, else the first. HDR becomes SDR.

    An index is the number of a frame as it is shown. ``choose`` is first asked with the times the container claims;
    should the decoder disagree (a damaged file, a container without times), once more with the decoder's. In a long
    video only the surroundings of the wanted frames are decoded, and a wanted frame is known by its time stamp.
    Frames are held to one GiB together, by scaling them down.

    Raises:
        MediaDecodeError: no video stream, or none that can be decoded.
        MediaTooLarge: more pixels or seconds than the policy allows.
    """
    with ffmpeg.stored(content, source, policy) as file:
        streams = read_streams(file)
        picked = streams.pick("video")
        if picked is None:
            raise no_video(source, streams)
        stream = playable(streams, picked, source)
        check_pixels(stream.width, stream.height, source, policy, "pixels a frame")
        sound = bool(streams.of("audio"))
        packets = read_packets(file, stream)
        _check(packets, source, policy)
        indices = choose(packets.timeline)
        reader = _Reader(file, stream, packets)
        note = "; ".join(filter(None, (reader.tones.note, streams.note(stream))))
        found = identify(beginning(content))
        if found is not None and found.name in _INDEXED and (runs := packets.runs(indices)):
            frames = reader.around(runs, len(indices))
            if frames is not None:
                return frames, indices, packets.timeline, reader.size, note, sound
        log = _Log()
        frames = reader.all([f"eq(n,{index})" for index in indices], len(indices), log)
        if not log.stamps:
            raise ffmpeg.failure(source, "a video", reader.last)
        timeline = log.timeline(packets)
        exact = choose(timeline)
        if frames is None or log.restarted or exact != indices:
            frames = reader.all(log.conditions(exact), len(exact), _Log())
        if frames is None:
            raise ffmpeg.failure(source, "a video", reader.last)
        return frames, exact[: len(frames)], timeline, reader.size, note, sound


def _check(packets: Packets, source: str, policy: MediaPolicy) -> None:
    check_pixels(packets.width, packets.height, source, policy, "pixels a frame")
    if packets.timeline.seconds > policy.seconds:
        raise MediaTooLarge(
            f"{label(source)} lasts {packets.timeline.seconds:.0f} s, more than the limit of {policy.seconds:g} s",
            "Give a shorter one.",
        )


class _Reader:
    """Decodes frames of one stored video. ``size`` is its upright (width, height) once a frame was read."""

    def __init__(self, file: ffmpeg.File, stream: Stream, packets: Packets) -> None:
        self._file = file
        self._stream = stream
        self._packets = packets
        self.tones = to_srgb(stream)
        self.size = (0, 0)
        self.last: ffmpeg.Run

    def all(self, conditions: Sequence[str], count: int, log: _Log) -> Frames | None:
        """Decode everything, keep the ``count`` frames for which a condition holds; fewer, or none, if they are not
        there. ``log`` learns of all frames."""
        room = _Room(count)
        self._decode(room, ["showinfo=checksum=0"], conditions, (), log)
        return None if room.frames is None else room.frames[: room.used]

    def around(self, runs: Sequence[tuple[int, list[int]]], count: int) -> Frames | None:
        """Decode from key frames on, one run after the other; ``None`` if a frame is not found where it should be."""
        over, under = self._packets.base
        room = _Room(count)
        for key, wanted in runs:
            # a microsecond later than the key frame, because rounding down would start at the one before it
            start = f"{key * over / under + 1e-6:.6f}"
            before = ("-seek_timestamp", "1", "-noaccurate_seek", "-ss", start)
            used = room.used
            self._decode(room, [], [f"eq(pts,{stamp})" for stamp in wanted], before, None, len(wanted))
            if room.used - used != len(wanted):
                return None
        return room.frames

    def _decode(
        self,
        room: _Room,
        chain: Sequence[str],
        conditions: Sequence[str],
        before: Sequence[str],
        log: _Log | None,
        most: int | None = None,
    ) -> None:
        area = max(1, self._packets.width * self._packets.height)
        factor = min(1.0, (MEMORY / (room.count * area * 3)) ** 0.5)
        scale = f"scale=w='max(1,trunc(iw*max(1,sar)*{factor:.6f}))':h='max(1,trunc(ih/min(1,sar)*{factor:.6f}))'"
        filters = ",".join([*chain, f"select='{_either(conditions)}'", scale, "setsar=1", *self.tones.filters])
        arguments = ["-copyts", "-map", f"0:{self._stream.index}", "-vf", filters, "-fps_mode", "passthrough"]
        if most is not None:
            arguments += ["-frames:v", str(most)]
        arguments += ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
        with ffmpeg.run(self._file, arguments, log, before) as run:
            while (frame := ffmpeg.read_ppm(run, self._file)) is not None:
                room.add(frame)
        self.last = run
        if room.frames is not None:
            self.size = self._original(room.frames.shape[2], room.frames.shape[1], factor)

    def _original(self, width: int, height: int, factor: float) -> tuple[int, int]:
        """The upright size that was scaled down to this one: the stored one, turned or not, if pixels are square."""
        stored = self._packets.width, self._packets.height
        for across, down in (stored, stored[::-1]):
            if abs(across * factor - width) <= 1 and abs(down * factor - height) <= 1:
                return across, down
        return round(width / factor), round(height / factor)


def _either(conditions: Sequence[str]) -> str:
    """One condition out of many; as a balanced tree, because ffmpeg refuses expressions nested more than 100 deep."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return f"({_either(conditions[:half])}+{_either(conditions[half:])})"


class _Room:
    """Memory for ``count`` frames, taken when the first one shows their size; later ones are fitted to it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.used = 0
        self.frames: Frames | None = None

    def add(self, frame: Frames) -> None:
        """Keep one more frame, if there is room."""
        import numpy as np
        from PIL import Image

        if self.frames is None:
            height, width, _ = frame.shape
            # a stream may hold larger images than its header says
            factor = min(1.0, (MEMORY / (self.count * frame.nbytes)) ** 0.5)
            self.frames = np.empty((self.count, max(1, int(height * factor)), max(1, int(width * factor)), 3), np.uint8)
        if self.used == self.count:
            return
        _, height, width, _ = self.frames.shape
        if frame.shape != (height, width, 3):  # a stream may change its size
            frame = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))
        self.frames[self.used] = frame
        self.used += 1
