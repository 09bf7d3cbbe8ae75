"""Drawn media: the same for the same seed, and true to what they claim."""

import random

import numpy as np
import pytest

from tools.demo_model.clips import MOTIONS, draw_clip
from tools.demo_model.scenes import MAKERS, draw_scene, render
from tools.demo_model.sounds import WORDS, draw_sound

SILENT = {word: [np.full(4000, 0.5, np.float32)] for word in WORDS}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_seed_always_draws_the_same_picture(kind: str) -> None:
    first, second = (draw_scene(random.Random(8), 1.3, kind) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert render(first, 78, 60).tobytes() == render(second, 78, 60).tobytes()


@pytest.mark.parametrize("aspect", [0.6, 1.0, 1.7])
def test_figures_stay_inside_the_picture_and_in_their_third(aspect: float) -> None:
    rng = random.Random(9)
    for _ in range(100):
        figure = draw_scene(rng, aspect, "single").figures[0]
        reach = figure.r * min(1, 1 / aspect)
        assert reach - 0.01 <= figure.x <= 1.01 - reach
        assert all(min(abs(value - 0.36), abs(value - 0.64)) > 0.04 for value in (figure.x, figure.y))


def test_the_left_or_upper_figure_of_a_pair_comes_first() -> None:
    rng = random.Random(10)
    for _ in range(50):
        scene = draw_scene(rng, 1.0, "pair")
        first, second = scene.figures
        assert (first.y < 0.5 < second.y) if scene.stacked else (first.x < 0.5 < second.x)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_clip_does_what_it_says(motion: str) -> None:
    clip = draw_clip(random.Random(12), 1.2, motion)
    before, after = clip.at(0).figures[0], clip.at(1).figures[0]
    moved = {"right": after.x - before.x, "left": before.x - after.x, "down": after.y - before.y}
    moved |= {"up": before.y - after.y, "grow": after.r - before.r, "shrink": before.r - after.r}
    if motion in moved:
        assert moved[motion] > 0.15
    elif motion == "color":
        assert (before.color, after.color) == (clip.color, clip.color2)
    else:
        assert before == after


@pytest.mark.parametrize("kind", ["beeps", "tone", "sweep", "noise", "silence", "speech"])
def test_a_seed_always_draws_the_same_sound(kind: str) -> None:
    (sound, samples), (again, same) = (draw_sound(random.Random(13), SILENT, kind) for _ in range(2))
    assert sound == again
    assert np.array_equal(samples, same)
