"""Where a recording is quiet: the level of short frames against the noise around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME = 0.02
"""Seconds of a frame."""

SILENCE = -60.0
"""dBFS: quieter frames are never speech."""
STEADY, HISS = 6.0, -40.0
"""A stretch whose level moves less (dB) is noise where it is softer than ``HISS`` (dBFS), else speech or music."""
RISE, MOST_RISE = 0.3, 15.0
"""How far above the noise speech begins: this part of the way to the loudest frames, so many dB at most."""
CLICK = 2
"""Frames: what is shorter is a click."""


def levels(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """The level of each whole frame in dBFS, float32 [frames]; ``samples`` is float32 [samples], mono."""
    import numpy as np

    size = int(rate * FRAME)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.einsum("fs,fs->f", frames, frames, dtype=np.float64) / size
    return np.asarray(10 * np.log10(np.maximum(power, 1e-9)), np.float32)


def active(level: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which frames hold more than the noise of their surroundings, bool [frames].

    The noise is the softest tenth of the frames; a stretch of half a minute nearly always has pauses. The threshold
    lies between it and the loudest frames, near the noise, so that soft speakers count beside loud ones.
    """
    import numpy as np

    if not len(level):
        return np.zeros(0, np.bool_)
    smooth = smoothed(level, 3)
    loudest, noise = float(smooth.max()), float(np.percentile(level, 10))
    if loudest < SILENCE or (loudest - noise < STEADY and loudest < HISS):
        return np.zeros(len(level), np.bool_)
    if loudest - noise < STEADY:
        return without_clicks(np.ones(len(level), np.bool_))
    threshold = max(SILENCE, noise + min(MOST_RISE, RISE * (loudest - noise)))
    return without_clicks(level > threshold)


def smoothed(level: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """The mean level of so many neighbouring frames at every frame."""
    import numpy as np

    padded = np.pad(level, (frames // 2, (frames - 1) // 2), mode="edge")
    return np.convolve(padded, np.full(frames, 1 / frames), "valid").astype(np.float32)


def without_clicks(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The flags without runs of fewer than ``CLICK`` frames."""
    found = flags.copy()
    for begin, end in runs(flags):
        if end - begin < CLICK:
            found[begin:end] = False
    return found


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The half-open ranges in which the flags are set."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
