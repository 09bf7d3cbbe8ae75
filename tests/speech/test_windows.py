"""Recordings are cut where they are quiet, and every bit of speech is in a window."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from mistralrs_cli.speech.windows import Cutting, Window, cut
from tests.speech.recording import RATE, Samples, draw


def tone(seconds: float, volume: float = 0.5) -> Samples:
    return (volume * np.sin(2 * np.pi * 440 * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def speech(seconds: float, seed: int = 0) -> Samples:
    """Syllables of a fifth of a second, without a pause between them that counts."""
    level = np.abs(np.sin(np.pi * 5 * np.arange(int(RATE * seconds)) / RATE)) * 0.5 + 0.1
    return np.asarray(level * np.random.default_rng(seed).uniform(-0.5, 0.5, len(level)), np.float32)


def cut_all(audio: Samples, cutting: Cutting | None = None, block: int = 50_000) -> list[Window]:
    blocks = (audio[at : at + block] for at in range(0, len(audio), block))
    return list(cut(blocks, RATE, cutting or Cutting()))


def test_each_utterance_is_a_window_with_its_times() -> None:
    parts = [(1.0, "a", tone(0.5)), (4.0, "b", speech(3)), (7.8, "c", tone(0.1)), (60.0, "d", tone(1))]
    audio, said = draw(parts, 90)
    windows = cut_all(audio)
    assert len(windows) == 4
    for window, part in zip(windows, said, strict=True):
        assert window.start == pytest.approx(part.start, abs=0.05)
        assert window.end == pytest.approx(part.end, abs=0.05)
        assert 0.1 < window.start - window.offset <= 0.25
        begin = int(window.offset * RATE)
        np.testing.assert_array_equal(window.samples, audio[begin : begin + len(window.samples)])


@pytest.mark.parametrize("block", [160, 7_777, 10_000_000])
def test_how_the_audio_comes_makes_no_difference(block: int) -> None:
    audio, _ = draw([(at, "x", speech(length)) for at, length in ((0.5, 2), (5, 40), (50, 1), (52, 12))], 70)
    expected, found = cut_all(audio, block=16_000), cut_all(audio, block=block)
    assert [(each.offset, each.start, each.end, each.overlaps, len(each.samples)) for each in found] == [
        (each.offset, each.start, each.end, each.overlaps, len(each.samples)) for each in expected
    ]
    assert len(found) > 4


def test_pauses_that_are_short_enough_stay_inside() -> None:
    audio, _ = draw([(1, "a", speech(2)), (4, "b", speech(2)), (9, "c", speech(2))], 12)
    assert [round(window.start) for window in cut_all(audio)] == [1, 4, 9]
    assert [round(window.start) for window in cut_all(audio, Cutting(pause=2.0))] == [1, 9]
    (whole,) = cut_all(audio, Cutting(pause=30))
    assert whole.start == pytest.approx(1, abs=0.05)
    assert whole.end == pytest.approx(11, abs=0.05)


def test_speech_without_pauses_is_cut_at_its_softest_place() -> None:
    """There is one of three tenths of a second after 22 s, in the second half of the window."""
    audio = speech(50)
    audio[22 * RATE : 22 * RATE + RATE * 3 // 10] = 0
    first, second = cut_all(audio)
    assert first.end == pytest.approx(22.15, abs=0.06)
    assert second.start == pytest.approx(22.3, abs=0.06)
    assert (second.overlaps, first.continues) == (False, False)


def test_where_nothing_is_soft_windows_overlap_and_lose_nothing() -> None:
    audio = np.random.default_rng(2).uniform(-0.5, 0.5, 100 * RATE).astype(np.float32)
    windows = cut_all(audio)
    assert windows[0].offset == 0
    assert not windows[0].overlaps
    for before, after in pairwise(windows):
        assert (before.continues, after.overlaps) == (True, True)
        assert before.end == after.start
        shared = before.offset + len(before.samples) / RATE - after.offset
        assert shared == pytest.approx(2.0, abs=0.03)
        assert after.offset < after.start < after.offset + 2.0
    assert all(len(window.samples) <= 30 * RATE for window in windows)
    assert windows[-1].end == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(0, np.float32),
        np.zeros(RATE // 100, np.float32),
        np.zeros(200 * RATE, np.float32),
        np.random.default_rng(0).normal(0, 0.003, 90 * RATE).astype(np.float32),
    ],
    ids=["none", "less than a frame", "silence", "hiss"],
)
def test_there_is_no_window_of_silence(audio: Samples) -> None:
    assert cut_all(audio) == []


def test_soft_speech_beside_loud_speech_is_heard() -> None:
    audio, _ = draw([(2, "loud", speech(2)), (8, "soft", speech(2) * np.float32(0.03))], 12)
    assert [round(window.start) for window in cut_all(audio)] == [2, 8]


def test_one_word_in_much_silence_is_heard() -> None:
    audio, _ = draw([(299.0, "word", speech(0.3))], 600, noise=0)
    (window,) = cut_all(audio)
    assert window.start == pytest.approx(299, abs=0.05)


def test_an_hour_is_never_held_whole() -> None:
    """A minute of speech and pauses, 60 times; what was read and is not cut yet is bounded."""
    minute, _ = draw([(at, "x", speech(4)) for at in range(0, 60, 6)], 60)
    read = 0

    def blocks() -> Iterator[Samples]:
        nonlocal read
        for _ in range(60):
            for at in range(0, len(minute), 100_000):
                block = minute[at : at + 100_000]
                read += len(block)
                yield block

    count, most = 0, 0.0
    for window in cut(blocks(), RATE, Cutting()):
        count += 1
        most = max(most, read / RATE - window.offset)
    assert count == 600
    assert most < 40
