"""Pictures: what is in them, and how they are drawn."""

import math
import random
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Kind = Literal["single", "count", "pair", "chart", "text"]

SHAPES = ("circle", "square", "triangle", "star")
COLORS: dict[str, tuple[Color, ...]] = {
    "red": ((255, 0, 0), (220, 20, 30), (200, 30, 30)),
    "green": ((0, 128, 0), (0, 200, 0), (40, 170, 60), (0, 255, 0)),
    "blue": ((0, 0, 255), (30, 60, 220), (20, 90, 200)),
    "yellow": ((255, 255, 0), (250, 220, 20)),
    "orange": ((255, 140, 0), (255, 165, 0), (245, 125, 20)),
    "purple": ((128, 0, 128), (140, 40, 190), (110, 20, 160)),
    "pink": ((255, 105, 180), (255, 170, 195), (255, 130, 170)),
    "cyan": ((0, 255, 255), (0, 200, 220)),
    "black": ((0, 0, 0), (15, 15, 15)),
    "white": ((255, 255, 255), (245, 245, 245)),
}
VIVID = tuple(COLORS)[:8]
PAPER: dict[str, tuple[Color, ...]] = {
    "white": ((255, 255, 255),),
    "gray": ((200, 200, 200), (230, 230, 230)),
    "dark": ((0, 0, 0), (30, 30, 30), (50, 50, 60)),
    "pale": ((235, 240, 255), (250, 245, 230)),
}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PRINTED = (
    *("stop", "go", "yes", "no", "hello", "exit", "open", "sale", "cat", "dog"),
    *("sun", "car", "home", "love", "menu", "help", "taxi", "cafe", "bus", "tea"),
)
DIGITS = tuple("0123456789")
FONTS = (
    *("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf"),
    *("DejaVuSerif-Bold.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSansCondensed-Bold.ttf"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One shape. ``x`` and ``y`` are fractions of width and height, ``r`` of the shorter side, ``turn`` in radians."""

    shape: str
    color: str
    rgb: Color
    x: float
    y: float
    r: float
    turn: float = 0.0

    @property
    def column(self) -> int:
        """0 left, 1 centre, 2 right."""
        return _third(self.x)

    @property
    def row(self) -> int:
        """0 top, 1 middle, 2 bottom."""
        return _third(self.y)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart; edges are fractions of width and height."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Scene:
    """What is in one picture. In a pair the left or upper figure comes first."""

    kind: Kind
    paper: Color
    figures: tuple[Figure, ...] = ()
    bars: tuple[Bar, ...] = ()
    color: str = ""
    rgb: Color = (0, 0, 0)
    trend: str = ""
    axes: bool = False
    text: str = ""
    letters: str = ""
    font: str = ""
    stacked: bool = False

    @property
    def count(self) -> int:
        return len(self.figures)


def _third(value: float) -> int:
    return 0 if value < 0.36 else 2 if value > 0.64 else 1


def ink(color: str, rng: random.Random) -> Color:
    """One of the typical values of a colour name, a little off."""
    spread = 8 if color in ("black", "white") else 14
    red, green, blue = (min(255, max(0, value + rng.randint(-spread, spread))) for value in rng.choice(COLORS[color]))
    return red, green, blue


def paper_for(colors: set[str], rng: random.Random) -> Color:
    """A background on which every one of ``colors`` can be seen."""
    names = [
        name
        for name in PAPER
        if not (name == "dark" and "black" in colors) and not (name != "dark" and "white" in colors)
    ]
    if not names:
        return 128, 128, 128
    weights = {"white": 5, "gray": 2, "dark": 2, "pale": 1}
    return rng.choice(PAPER[rng.choices(names, [weights[name] for name in names])[0]])


def single(rng: random.Random, aspect: float) -> Scene:
    """One figure in one of nine places; ``aspect`` is width over height."""
    fx, fy = min(1.0, 1 / aspect), min(1.0, aspect)
    column, row = (1, 1) if rng.random() < 0.3 else (rng.randrange(3), rng.randrange(3))
    centred = column == row == 1
    r = rng.uniform(0.1, 0.45) if centred else rng.uniform(0.09, 0.24)
    x, y = _place(rng, column, r * fx), _place(rng, row, r * fy)
    figure = _figure(rng, rng.choice(SHAPES), rng.choice(list(COLORS)), x, y, r)
    return Scene("single", paper_for({figure.color}, rng), (figure,))


def _place(rng: random.Random, third: int, reach: float) -> float:
    """A coordinate well inside one third of the side, with room for ``reach`` on both sides."""
    if third == 1:
        return rng.uniform(0.43, 0.57) if reach < 0.42 else 0.5
    near = min(max(reach + 0.01, rng.uniform(0.1, 0.28)), 0.3)
    return near if third == 0 else 1 - near


def _figure(rng: random.Random, shape: str, color: str, x: float, y: float, r: float) -> Figure:
    turn = rng.uniform(-0.15, 0.15) if rng.random() < 0.3 else 0.0
    return Figure(shape, color, ink(color, rng), x, y, r, turn)


def several(rng: random.Random, aspect: float) -> Scene:
    """Two to five equal figures (now and then one), apart from each other."""
    fx, fy = min(1.0, 1 / aspect), min(1.0, aspect)
    wanted = rng.choices((1, 2, 3, 4, 5), (1, 4, 4, 4, 4))[0]
    shape, color = rng.choice(SHAPES), rng.choice(list(COLORS))
    rgb = ink(color, rng)
    figures: list[Figure] = []
    attempts = 0
    while len(figures) < wanted:
        attempts += 1
        if attempts % 200 == 0:
            figures = []
        r = rng.uniform(0.08, 0.17)
        x, y = rng.uniform(r * fx, 1 - r * fx), rng.uniform(r * fy, 1 - r * fy)
        if all(math.hypot((x - f.x) / fx, (y - f.y) / fy) > (r + f.r) * 1.15 for f in figures):
            turn = rng.uniform(-0.15, 0.15) if rng.random() < 0.3 else 0.0
            figures.append(Figure(shape, color, rgb, x, y, r, turn))
    return Scene("count", paper_for({color}, rng), tuple(figures))


def pair(rng: random.Random, aspect: float) -> Scene:
    """Two figures of different colours, side by side or one above the other."""
    fx, fy = min(1.0, 1 / aspect), min(1.0, aspect)
    stacked = rng.random() < 0.4
    colors = rng.sample(VIVID, 2)
    figures = []
    for index, color in enumerate(colors):
        r = rng.uniform(0.11, 0.22)
        across, along = (fy, fx) if stacked else (fx, fy)
        reach = min(r * across, 0.23)
        main = 0.5 * index + rng.uniform(max(0.02 + reach, 0.2), max(0.3, 0.48 - reach) if reach < 0.2 else 0.25)
        side = rng.uniform(max(0.3, r * along), min(0.7, 1 - r * along))
        x, y = (side, main) if stacked else (main, side)
        figures.append(_figure(rng, rng.choice(SHAPES), color, x, y, r))
    return Scene("pair", paper_for(set(colors), rng), tuple(figures), stacked=stacked)


def chart(rng: random.Random, aspect: float) -> Scene:
    """A bar chart that rises or falls from left to right."""
    count = rng.randint(3, 6)
    trend = rng.choice(("rising", "falling"))
    color = rng.choice(VIVID)
    low, high = rng.uniform(0.08, 0.3), rng.uniform(0.65, 0.95)
    heights = [low + (high - low) * step / (count - 1) for step in range(count)]
    heights = [h + rng.uniform(-0.2, 0.2) * (high - low) / count for h in heights]
    if trend == "falling":
        heights.reverse()
    bottom, left, width = rng.uniform(0.88, 0.97), rng.uniform(0.05, 0.14), rng.uniform(0.55, 0.92)
    step = (0.97 - left) / count
    bars = tuple(
        Bar(left + step * i, bottom - height * 0.88, left + step * (i + width), bottom)
        for i, height in enumerate(heights)
    )
    axes = rng.random() < 0.5
    return Scene("chart", paper_for({color}, rng), bars=bars, color=color, rgb=ink(color, rng), trend=trend, axes=axes)


def text(rng: random.Random, aspect: float) -> Scene:
    """A printed word or digit."""
    word = rng.choice(PRINTED if rng.random() < 0.75 else DIGITS)
    letters = rng.choice((word, word.upper(), word.capitalize()))
    color = rng.choice(list(COLORS)) if rng.random() < 0.5 else "black"
    x, y, share = rng.uniform(0.46, 0.54), rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.92)
    spot = Figure("text", color, ink(color, rng), x, y, share)
    return Scene("text", paper_for({color}, rng), (spot,), text=word, letters=letters, font=rng.choice(FONTS))


MAKERS = {"single": single, "count": several, "pair": pair, "chart": chart, "text": text}
MIX = {"single": 4.0, "count": 4.5, "pair": 2.2, "chart": 1.2, "text": 4.5}  # what is hard, more often


def draw_scene(rng: random.Random, aspect: float = 1.0, kind: Kind | None = None) -> Scene:
    """A random scene for a picture whose width is ``aspect`` times its height."""
    return MAKERS[kind or rng.choices(list(MIX), list(MIX.values()))[0]](rng, aspect)


def outline(figure: Figure, x: float, y: float, r: float) -> list[tuple[float, float]]:
    """Corners of a square, triangle or star around pixel (x, y)."""
    if figure.shape == "square":
        a = r * 0.88
        points = [(-a, -a), (a, -a), (a, a), (-a, a)]
    elif figure.shape == "triangle":
        points = [(0, -r), (0.95 * r, 0.75 * r), (-0.95 * r, 0.75 * r)]
    else:
        radii = [r if i % 2 == 0 else r * 0.42 for i in range(10)]
        points = [(q * math.sin(i * math.pi / 5), -q * math.cos(i * math.pi / 5)) for i, q in enumerate(radii)]
    cos, sin = math.cos(figure.turn), math.sin(figure.turn)
    return [(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in points]


def paint(pen: ImageDraw.ImageDraw, scene: Scene, width: int, height: int) -> None:
    """Draw every part of ``scene``."""
    for bar in scene.bars:
        pen.rectangle((bar.left * width, bar.top * height, bar.right * width, bar.bottom * height), fill=scene.rgb)
    for figure in scene.figures:
        fill = figure.rgb
        x, y, r = figure.x * width, figure.y * height, figure.r * min(width, height)
        if figure.shape == "text":
            pen.text((x, y), scene.letters, fill=fill, font=_fitting_font(scene, figure.r, width, height), anchor="mm")
        elif figure.shape == "circle":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        else:
            pen.polygon(outline(figure, x, y, r), fill=fill)


def _fitting_font(scene: Scene, share: float, width: int, height: int) -> ImageFont.FreeTypeFont:
    """The font at the size where the text takes ``share`` of the width, or half the height if that is less."""
    left, top, right, bottom = ImageFont.truetype(scene.font, 100).getbbox(scene.letters)
    size = min(share * width / (right - left), 0.5 * height / (bottom - top)) * 100
    return ImageFont.truetype(scene.font, max(8, round(size)))


def render(scene: Scene, width: int, height: int, oversample: int = 1) -> Image.Image:
    """The picture of a scene in RGB."""
    w, h = width * oversample, height * oversample
    image = Image.new("RGB", (w, h), scene.paper)
    pen = ImageDraw.Draw(image)
    if scene.axes:
        line: Color = (0, 0, 0) if sum(scene.paper) > 380 else (220, 220, 220)
        foot, edge = scene.bars[0].bottom * h, (scene.bars[0].left - 0.02) * w
        pen.line((edge, 0.04 * h, edge, foot, 0.98 * w, foot), fill=line, width=max(1, w // 150))
    paint(pen, scene, w, h)
    return image.resize((width, height), Image.Resampling.BOX) if oversample > 1 else image
