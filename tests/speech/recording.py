"""A recording drawn for a test: spoken digits and beeps of the sample media, at known times, with a little noise."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Said:
    """What is heard from ``start`` to ``end``, in seconds; ``text`` is how the demo model writes it."""

    text: str
    start: float
    end: float


def heard(samples: Path, name: str) -> Samples:
    """A sample without the silence around it."""
    audio, rate = soundfile.read(samples / name, dtype="float32")
    assert rate == RATE
    loud = np.flatnonzero(np.abs(audio) > 0.01)
    return np.asarray(audio[loud[0] : loud[-1] + 1], np.float32)


def words(samples: Path) -> dict[str, Samples]:
    """``three``, ``seven`` and ``one``, each by itself: the sample has pauses between them."""
    audio = heard(samples, "digits.wav")
    loud = np.abs(audio) > 0.01
    edges = np.flatnonzero(np.diff(np.flatnonzero(loud)) > RATE * 0.1)
    places = np.flatnonzero(loud)
    ends, begins = [*places[edges], places[-1]], [places[0], *places[edges + 1]]
    pieces = [audio[begin : end + 1] for begin, end in zip(begins, ends, strict=True)]
    return dict(zip(("three", "seven", "one"), pieces, strict=True))


def draw(parts: list[tuple[float, str, Samples]], seconds: float, noise: float = 0.0005) -> tuple[Samples, list[Said]]:
    """A recording of that length with the parts at their times: float32 [samples] at 16 kHz."""
    audio = np.random.default_rng(1).normal(0, noise, int(seconds * RATE)).astype(np.float32)
    said = []
    for start, text, piece in parts:
        at = int(start * RATE)
        audio[at : at + len(piece)] += piece
        said.append(Said(text, start, start + len(piece) / RATE))
    return audio, said
