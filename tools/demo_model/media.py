"""Media to ask about: what is in each, and which are alike."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.demo_model import answers
from tools.demo_model.scenes import COLORS, NUMBERS, SHAPES, Scene
from tools.demo_model.sounds import Sound

Kind = Literal["image", "audio", "video"]


@dataclass(frozen=True, slots=True)
class Medium:
    """A picture, sound or clip: what is in it, and its data (features in training, a file's content later)."""

    kind: Kind
    content: Any
    data: Any = field(default=None, repr=False, compare=False)


class Pool:
    """Media to choose from, also by what is in them."""

    def __init__(self, pictures: list[Medium], sounds: list[Medium], clips: list[Medium]) -> None:
        self.pictures, self.sounds, self.clips = pictures, sounds, clips
        self.alike: dict[Any, list[Medium]] = defaultdict(list)
        for medium in pictures:
            scene: Scene = medium.content
            self.alike[scene.kind].append(medium)
            self.alike[scene.trend or None].append(medium)
            for key in self.keys(scene):
                self.alike[key].append(medium)
        for medium in sounds:
            sound: Sound = medium.content
            self.alike["sound", sound.kind, sound.trend].append(medium)
            self.alike[sound.kind].append(medium)
            if sound.words in (("rising",), ("falling",), ("up",), ("down",)):
                self.alike["trend word"].append(medium)
            if self.named(sound.words):
                self.alike["naming"].append(medium)

    @staticmethod
    def keys(scene: Scene) -> tuple[Any, ...]:
        """What pictures of equal figures have in common with others; differing in one of the keys is a change."""
        if scene.kind not in ("single", "count"):
            return ()
        figure, spot = scene.figures[0], ""
        if scene.count == 1:
            spot = answers.place(scene.figures[0])
        return (
            ("color", figure.shape, scene.count, spot),
            ("shape", figure.color, scene.count, spot),
            ("position", figure.color, figure.shape, scene.count),
            ("count", figure.color, figure.shape),
            ("same", figure.color, figure.shape, scene.count, spot),
            ("named", figure.color),
            ("named", figure.shape),
        )

    @staticmethod
    def named(words: tuple[str, ...]) -> bool:
        """Whether words can be said of a picture: a colour, a shape, or both, perhaps with a number before them."""
        kinds = tuple("n" if w in NUMBERS[1:6] else "c" if w in COLORS else "s" if w in SHAPES else "" for w in words)
        return kinds in (("c",), ("s",), ("c", "s"), ("n", "c", "s"))


def fits(words: tuple[str, ...], scene: Scene) -> bool:
    """Whether what is said is true of the picture."""
    figure = scene.figures[0]
    return all(word in (figure.color, figure.shape, NUMBERS[scene.count]) for word in words)
