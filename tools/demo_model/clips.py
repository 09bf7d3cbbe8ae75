"""Clips: one figure that moves, grows, shrinks, changes colour or stands still."""

import random
from dataclasses import dataclass, replace

from tools.demo_model.scenes import SHAPES, VIVID, Color, Figure, Scene, ink, paper_for

MOTIONS = ("right", "left", "down", "up", "grow", "shrink", "color", "still")


@dataclass(frozen=True, slots=True)
class Clip:
    """What happens in a clip. ``figure`` is where it starts; ``color2`` is the colour it turns to, if it does.

    ``start`` and ``end`` are the shares of the way already gone in the first and the last frame, ``cut`` the share
    of the time after which the colour changes.
    """

    motion: str
    figure: Figure
    paper: Color
    color2: str
    rgb2: Color
    aspect: float
    start: float
    end: float
    cut: float
    small: float
    large: float

    @property
    def shape(self) -> str:
        return self.figure.shape

    @property
    def color(self) -> str:
        return self.figure.color

    def at(self, time: float) -> Scene:
        """The scene at ``time``, 0 at the first frame and 1 at the last."""
        fx, fy = self.figure.r * min(1.0, 1 / self.aspect), self.figure.r * min(1.0, self.aspect)
        way = self.start + (self.end - self.start) * time
        figure = self.figure
        if self.motion in ("right", "left"):
            along = way if self.motion == "right" else 1 - way
            figure = replace(figure, x=fx + (1 - 2 * fx) * along)
        elif self.motion in ("down", "up"):
            along = way if self.motion == "down" else 1 - way
            figure = replace(figure, y=fy + (1 - 2 * fy) * along)
        elif self.motion in ("grow", "shrink"):
            along = way if self.motion == "grow" else 1 - way
            figure = replace(figure, x=0.5, y=0.5, r=self.small + (self.large - self.small) * along)
        elif self.motion == "color" and time > self.cut:
            figure = replace(figure, color=self.color2, rgb=self.rgb2)
        return Scene("single", self.paper, (figure,))


def draw_clip(rng: random.Random, aspect: float = 1.0, motion: str | None = None) -> Clip:
    """A random clip whose width is ``aspect`` times its height."""
    fx, fy = min(1.0, 1 / aspect), min(1.0, aspect)
    before, after = rng.sample(VIVID, 2)
    r = rng.uniform(0.12, 0.26)
    x, y = rng.uniform(r * fx, 1 - r * fx), rng.uniform(r * fy, 1 - r * fy)
    return Clip(
        motion=motion or rng.choice(MOTIONS),
        figure=Figure(rng.choice(SHAPES), before, ink(before, rng), x, y, r),
        paper=paper_for({before, after}, rng),
        color2=after,
        rgb2=ink(after, rng),
        aspect=aspect,
        start=rng.uniform(0, 0.2),
        end=rng.uniform(0.8, 1.0),
        cut=rng.uniform(0.3, 0.7),
        small=rng.uniform(0.07, 0.14),
        large=rng.uniform(0.3, 0.42),
    )
