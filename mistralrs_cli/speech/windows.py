"""A recording in windows that a model takes: cut at pauses, else at the quietest place, with some overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from .activity import FRAME, active, levels, runs, smoothed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST = 30.0
"""Seconds of a window: what most models that hear were trained on."""
MARGIN = 0.2
"""Seconds of quiet that a window keeps around its speech."""
DIP = 10
"""Frames over which the quietest place is looked for; a shorter gap may be within a word."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a recording is cut, in seconds.

    No window is longer than ``longest``. One ends at the first pause of ``pause``; where there is none, at the quietest
    place of its second half, and if somebody speaks there, too, this window and the next share ``overlap``.
    """

    longest: float = LONGEST
    pause: float = 0.5
    overlap: float = 2.0


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive samples of a recording: ``float32 [samples]``, mono.

    ``start`` and ``end`` are when the speech in it begins and ends, in seconds of the recording; ``offset`` is where
    the samples begin. ``overlaps`` says that its first samples are the last of the window before; ``start`` is then
    that window's ``end``, where both were cut. ``continues`` says that the next one may overlap it.
    """

    samples: NDArray[np.float32]
    offset: float
    start: float
    end: float
    overlaps: bool = False
    continues: bool = False


def cut(blocks: Iterator[NDArray[np.float32]], rate: int, cutting: Cutting) -> Iterator[Window]:
    """The windows of a recording that comes in ``blocks`` (float32 [samples] at ``rate`` Hz), without its silence.

    Holds no more of it than a window, a pause and a block; how long the blocks are makes no difference.
    """
    buffer = _Buffer(blocks, rate)
    frame = int(rate * FRAME)
    longest, pause, overlap, margin = map(frames_of, (cutting.longest, cutting.pause, cutting.overlap, MARGIN))
    pause, overlap = min(pause, longest), min(overlap, longest // 4)
    joined: float | None = None  # when the window before was cut, where this one shares its end
    while True:
        samples, ended = buffer.fill((longest + pause + margin) * frame)
        level = levels(samples, rate)
        flags = active(level)
        spoken = runs(flags)
        if not spoken:
            if ended:
                return
            buffer.drop(max(len(level) - margin, 1) * frame)
            joined = None
            continue
        begin = 0 if joined is not None else max(0, spoken[0][0] - margin)
        last = _end(spoken, pause, len(level), ended=ended)
        if last is None and begin > 0:
            buffer.drop(begin * frame)
            continue
        start = buffer.seconds(spoken[0][0] * frame) if joined is None else joined
        overlaps, joined = joined is not None, None
        if last is not None and last - begin <= longest:
            end = min(len(level), last + margin, begin + longest)
            following = last
        else:
            last, clean = _quietest(level, flags, begin + longest // 2, begin + longest)
            end = following = last
            if not clean:
                end = min(last + overlap // 2, begin + longest)
                following = end - overlap
                joined = buffer.seconds(last * frame)
        yield Window(
            samples[begin * frame : end * frame].copy(),
            offset=buffer.seconds(begin * frame),
            start=start,
            end=buffer.seconds(last * frame),
            overlaps=overlaps,
            continues=joined is not None,
        )
        buffer.drop(following * frame)


def frames_of(seconds: float) -> int:
    """So many seconds in frames."""
    return round(seconds / FRAME)


def _end(spoken: list[tuple[int, int]], pause: int, frames: int, *, ended: bool) -> int | None:
    """The frame after which the first pause comes; ``None`` where there is none among ``frames`` and more follow."""
    for (_, end), (begin, _) in pairwise(spoken):
        if begin - end >= pause:
            return end
    last = spoken[-1][1]
    return last if ended or frames - last >= pause else None


def _quietest(level: NDArray[np.float32], flags: NDArray[np.bool_], begin: int, end: int) -> tuple[int, bool]:
    """The frame of a range around which it is quietest, and whether that is a gap between words."""
    at = begin + int(smoothed(level, DIP)[begin:end].argmin())
    for first, last in runs(~flags[begin:end]):
        if first <= at - begin <= last and last - first >= DIP:
            return begin + (first + last) // 2, True
    return at, False


class _Buffer:
    """The samples that are read and not cut off yet."""

    def __init__(self, blocks: Iterator[NDArray[np.float32]], rate: int) -> None:
        import numpy as np

        self._blocks = blocks
        self._rate = rate
        self._samples = np.zeros(0, np.float32)
        self._dropped = 0
        self._ended = False

    def fill(self, size: int) -> tuple[NDArray[np.float32], bool]:
        """The next ``size`` samples, or all that are left, and whether they are; silence fills the last frame."""
        import numpy as np

        pieces, held = [self._samples], len(self._samples)
        while held < size and not self._ended:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
                block = np.zeros(-held % int(self._rate * FRAME), np.float32)
            pieces.append(block)
            held += len(block)
        self._samples = np.concatenate(pieces)
        return self._samples[:size], self._ended and len(self._samples) <= size

    def drop(self, size: int) -> None:
        """Forget so many samples at the beginning."""
        self._samples = self._samples[size:]
        self._dropped += size

    def seconds(self, sample: int) -> float:
        """When a sample of the buffer is heard."""
        return (self._dropped + sample) / self._rate
