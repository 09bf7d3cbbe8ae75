"""When the frames of a video are shown, and which of them a model is given. Pure arithmetic."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from ..errors import MediaError, MediaTooLarge, OptionError
from ..messages import MediaOptions
from ..options import MediaPolicy
from .labels import label

# a frame shown at 2.0 s is found at 2.0 s although its time is the sum of rounded durations
_SLACK = 1e-4
MOST_FPS = 1000
"""Frames a second that may be asked for: those of a high-speed camera."""


@dataclass(frozen=True, slots=True)
class VideoSampling:
    """How a model family samples video.

    ``fps`` set: a frame every ``1/fps`` seconds, at least ``minimum`` and at most ``maximum`` of them. Otherwise
    ``frames``, spread evenly: of ``total`` frames, number ``floor(i * total / frames)``.
    """

    frames: int | None = 32
    fps: float | None = None
    minimum: int = 1
    maximum: int = 768


@dataclass(frozen=True, slots=True)
class Timeline:
    """``times``: when each frame appears, in seconds from the first, ascending. ``seconds``: when the last one ends."""

    times: tuple[float, ...]
    seconds: float

    @property
    def fps(self) -> float:
        """Frames per second on average."""
        return len(self.times) / self.seconds


def check(options: MediaOptions) -> None:
    """Refuse options that fit no video at all.

    Raises:
        OptionError: a frame count or rate that is not positive, a rate beyond any video's, a negative start, an end
            before the start.
    """
    if options.frames is not None and options.frames < 1:
        raise OptionError(f"A video cannot be given as {options.frames} frames", "Ask for at least 1 frame.")
    if options.fps is not None and not 0 < options.fps < float("inf"):
        raise OptionError(f"{options.fps:g} frames per second is not possible", "Give a rate above 0, such as 2.")
    if options.fps is not None and options.fps > MOST_FPS:
        raise OptionError(
            f"{options.fps:g} frames per second is more than any video has",
            f"Give a rate of at most {MOST_FPS}, such as 2.",
        )
    if options.start is not None and not options.start >= 0:
        raise OptionError(f"A video cannot start at {options.start:g} s", "Give the start in seconds from 0.")
    if options.end is not None and not options.end > (options.start or 0.0):
        raise OptionError(
            f"The video's end ({options.end:g} s) is not after its start ({options.start or 0:g} s)",
            "Give an end that is later than the start.",
        )


def select_frames(
    timeline: Timeline, source: str, options: MediaOptions, sampling: VideoSampling, policy: MediaPolicy
) -> tuple[int, ...]:
    """The frames a model is given: ascending indices into ``timeline.times``, at least one.

    ``options`` win over ``sampling``; ``options.frames`` beside ``options.fps`` is the most there may be. Only frames
    shown from ``options.start`` until before ``options.end`` count. Never a frame twice: fewer when there are fewer.

    Raises:
        MediaError: the start lies beyond the end of the video.
        MediaTooLarge: more frames asked for than ``policy.frames``.
    """
    first, last = _cut(timeline, source, options)
    available = last - first
    limit = min(sampling.maximum, policy.frames)
    if options.frames is not None and options.frames > limit:
        raise MediaTooLarge(
            f"{options.frames} frames of {label(source)} were asked for; at most {limit} are possible",
            f"Ask for at most {limit} frames.",
        )
    fps = options.fps if options.fps is not None else None if options.frames is not None else sampling.fps
    if fps is None:
        wanted = options.frames or sampling.frames or limit
        return _spread(first, available, min(wanted, limit))
    begin = timeline.times[first]
    end = timeline.times[last] if last < len(timeline.times) else timeline.seconds
    count = max(1, int((end - begin) * fps - _SLACK) + 1)
    most = options.frames or limit
    if not min(sampling.minimum, most) <= count <= most:
        return _spread(first, available, max(min(sampling.minimum, most), min(count, most)))
    shown = (bisect_right(timeline.times, begin + step / fps + _SLACK) - 1 for step in range(count))
    return tuple(dict.fromkeys(min(max(index, first), last - 1) for index in shown))


def _cut(timeline: Timeline, source: str, options: MediaOptions) -> tuple[int, int]:
    """The half-open range of frames between the start and the end."""
    start, end = options.start or 0.0, options.end
    if start > 0 and start >= timeline.seconds:
        raise MediaError(
            f"{label(source)} lasts {timeline.seconds:.2f} s and cannot start at {start:g} s",
            f"Give a start before {timeline.seconds:.2f} s.",
        )
    # the frame on screen at the start belongs to the cut although it appeared earlier
    first = max(0, bisect_right(timeline.times, start + _SLACK) - 1)
    last = len(timeline.times) if end is None else bisect_left(timeline.times, end - _SLACK)
    return first, max(last, first + 1)


def _spread(first: int, available: int, count: int) -> tuple[int, ...]:
    count = min(count, available)
    return tuple(first + index * available // count for index in range(count))
