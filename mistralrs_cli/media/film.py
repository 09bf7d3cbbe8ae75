"""Frames of a film (any container ffmpeg reads): a cheap pass over its packets, then one that decodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MediaDecodeError, MediaTooLarge
from ..options import MediaPolicy
from . import ffmpeg
from .labels import label
from .timeline import Timeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# decoded frames that are kept take at most this many bytes; larger ones are scaled down, keeping the aspect
MEMORY = 2**30
_DEFAULT_FPS = 25.0
_BASE = re.compile(r"_showinfo_\d+ @ .*\bconfig in time_base: (\d+)/(\d+)")
_SHOWN = re.compile(r"_showinfo_\d+ @ .*\bn: *(\d+) pts: *(\S+) pts_time: *\S+(?: +duration: *(\d+))?")
_MAP = ("-map", "0:V:0")  # a capital V leaves out cover pictures


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
            self.stamps.append(_integer(stamp))
            self.last = int(duration or 0)
        elif match := _BASE.search(line):
            self.base = int(match.group(1)), int(match.group(2))


def _integer(text: str) -> int | None:
    """``None`` where there is no time stamp, which is written NOPTS or as the smallest of numbers."""
    value = int(text) if text.lstrip("-").isdigit() else None
    return value if value is not None and value > -(1 << 62) else None


def read_film(
    data: bytes, source: str, policy: MediaPolicy, choose: Callable[[Timeline], tuple[int, ...]]
) -> tuple[NDArray[np.uint8], tuple[int, ...], Timeline, tuple[int, int]]:
    """The frames that ``choose`` picks: ``uint8 [frames, height, width, 3]``, their indices, the clip's timeline and
    the upright (width, height) of the source.

    ``choose`` is first asked with the times of the packets and, should the decoder disagree (an edit list, damage),
    once more with those of the decoded frames: an index is always the number of a decoded frame. Frames are held to
    one GiB together, by scaling them down.

    Raises:
        MediaDecodeError: no video stream, or none that can be decoded.
        MediaTooLarge: more pixels or seconds than the policy allows.
    """
    with ffmpeg.stored(data) as path:
        guess, (width, height) = _packets(path, source)
        if width * height > policy.pixels:
            raise MediaTooLarge(
                f"{label(source)} has {width}×{height} pixels a frame, more than the limit of {policy.pixels}",
                "Shrink the video first.",
            )
        if guess.seconds > policy.seconds:
            raise MediaTooLarge(
                f"{label(source)} lasts {guess.seconds:.0f} s, more than the limit of {policy.seconds:g} s",
                "Give a shorter one.",
            )
        indices = choose(guess)
        area = width * height
        frames, size, log = _decode(path, source, [f"eq(n,{index})" for index in indices], len(indices), area)
        truth = _decoded(log, guess)
        exact = choose(truth)
        if log.restarted or exact != indices:
            wanted = _by_stamp(log, exact)
            frames, size, _ = _decode(path, source, wanted, len(exact), area)
        return frames, exact[: len(frames)], truth, size


def _packets(path: Path, source: str) -> tuple[Timeline, tuple[int, int]]:
    """The times the container claims for its frames, without decoding, and the stored width and height."""
    stamps: list[tuple[int, int]] = []
    base, size = (1, round(_DEFAULT_FPS)), (0, 0)
    with ffmpeg.run(path, source, ["-copyts", *_MAP, "-c", "copy", "-f", "framecrc", "-"]) as run:
        for raw in run.output:
            line = raw.decode(errors="replace")
            match line.split():
                case ["#tb", _, fraction]:
                    over, under = fraction.split("/")
                    base = int(over), int(under)
                case ["#dimensions", _, text]:
                    across, down = text.split("x")
                    size = int(across), int(down)
                case [first, *_] if not first.startswith("#"):
                    _, decoded, shown, duration = (part.strip() for part in line.split(",")[:4])
                    stamp = next(
                        (time for text in (shown, decoded) if (time := _integer(text)) is not None), len(stamps)
                    )
                    stamps.append((stamp, _integer(duration) or 0))
    if not stamps:
        if any("matches no streams" in line for line in run.lines):
            sounds = any("Audio:" in line for line in run.lines)
            raise MediaDecodeError(
                f"{label(source)} has no video in it" + (", only sound" if sounds else ""),
                "Give it with --audio." if sounds else "Check that the file plays.",
            )
        raise ffmpeg.failure(source, "a video", run)
    stamps.sort()
    return _timed([stamp for stamp, _ in stamps], stamps[-1][1], base), size


def _timed(stamps: Sequence[int], last: int, base: tuple[int, int]) -> Timeline:
    """The timeline of these time stamps; a last frame of unknown duration lasts as long as the average one."""
    over, under = base
    average = (stamps[-1] - stamps[0]) / max(1, len(stamps) - 1) or under / over / _DEFAULT_FPS
    end = stamps[-1] + (last if last > 0 else average)
    return Timeline(tuple((stamp - stamps[0]) * over / under for stamp in stamps), (end - stamps[0]) * over / under)


def _decoded(log: _Log, guess: Timeline) -> Timeline:
    known = [stamp for stamp in log.stamps if stamp is not None]
    if len(known) == len(log.stamps) and known == sorted(known):
        return _timed(known, log.last, log.base)
    count = len(log.stamps)
    return Timeline(tuple(index / guess.fps for index in range(count)), count / guess.fps)


def _by_stamp(log: _Log, indices: Sequence[int]) -> list[str]:
    """Conditions that name frames by time stamp: the decoder counts from 0 again when the picture's size changes."""
    if len(set(log.stamps)) < len(log.stamps) or None in log.stamps:
        return [f"eq(n,{index})" for index in indices]
    return [f"eq(pts,{log.stamps[index]})" for index in indices]


def _decode(
    path: Path, source: str, wanted: Sequence[str], count: int, area: int
) -> tuple[NDArray[np.uint8], tuple[int, int], _Log]:
    """The frames for which one of the conditions holds, the size of the upright source, and the log of all frames."""
    import numpy as np

    factor = min(1.0, (MEMORY / (count * max(area, 1) * 3)) ** 0.5)
    scale = f"scale=w='max(1,trunc(iw*max(1,sar)*{factor:.6f}))':h='max(1,trunc(ih/min(1,sar)*{factor:.6f}))'"
    chain = f"showinfo=checksum=0,select='{'+'.join(wanted)}',{scale},setsar=1"
    log = _Log()
    arguments = ["-copyts", *_MAP, "-vf", chain, "-fps_mode", "passthrough"]
    arguments += ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    frames: NDArray[np.uint8] | None = None
    done = 0
    with ffmpeg.run(path, source, arguments, log) as run:
        while (size := _header(run)) is not None and done < count:
            pixels = run.read(size[0] * size[1] * 3)
            if len(pixels) < size[0] * size[1] * 3:
                break
            picture = np.frombuffer(pixels, np.uint8).reshape(size[1], size[0], 3)
            if frames is None:
                frames = np.empty((count, *picture.shape), np.uint8)
            frames[done] = picture if picture.shape == frames.shape[1:] else _fitted(picture, frames.shape)
            done += 1
    if frames is None:
        raise ffmpeg.failure(source, "a video", run)
    upright = round(frames.shape[2] / factor), round(frames.shape[1] / factor)
    return frames[:done], upright, log


def _header(run: ffmpeg.Run) -> tuple[int, int] | None:
    """Width and height of the next PPM picture in the pipe."""
    magic, size, _ = run.output.readline(), run.output.readline(), run.output.readline()
    if magic != b"P6\n":
        return None
    width, height = size.split()
    return int(width), int(height)


def _fitted(picture: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The picture at the size of the clip's first frame: a stream may change its size."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((shape[2], shape[1]), Image.Resampling.BICUBIC))
