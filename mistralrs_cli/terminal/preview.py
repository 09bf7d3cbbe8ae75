"""Small previews of what was attached, in the way that a terminal can show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from . import graphics
from .encoding import is_unicode
from .size import size_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

Protocol = Literal["kitty", "iterm2", "sixel", "blocks"]
PreviewMode = Literal["auto", "off", "kitty", "iterm2", "sixel", "blocks"]

ROWS = 8
FRAMES = 8  # of a video, at most
CELL = (10, 20)  # pixels of a letter, where the terminal does not say
GAP = 2  # columns between images
WIDEST = 48  # columns of one image

KITTY = ("xterm-kitty", "xterm-ghostty")
ITERM2 = ("iTerm.app", "WezTerm", "mintty")
SIXEL = ("foot", "mlterm", "contour")


@dataclass(frozen=True, slots=True)
class Canvas:
    """How a terminal shows images: the protocol, colours of half blocks, columns, and pixels of a cell."""

    protocol: Protocol
    depth: graphics.Depth = "truecolor"
    columns: int = 80
    cell: tuple[int, int] = CELL

    @property
    def pixel_cell(self) -> tuple[int, int]:
        """Pixels of a cell that are drawn: of half blocks one above the other."""
        return (1, 2) if self.protocol == "blocks" else self.cell


def canvas(mode: PreviewMode, stream: TextIO, colors: str | None, environment: Mapping[str, str]) -> Canvas | None:
    """How ``stream`` shows images, if it does; ``colors`` are the terminal's (``256``, ``truecolor``, …).

    The environment tells, not a query: a reply could be taken for typed text. Within tmux, and where
    nothing is known, half blocks are shown, but not without colours.
    """
    if mode == "off":
        return None
    protocol = known(environment) if mode == "auto" else mode
    if protocol == "blocks":
        if colors not in ("256", "truecolor") or "NO_COLOR" in environment or not is_unicode(stream):
            return None
        return Canvas("blocks", "truecolor" if colors == "truecolor" else "256", size_of(stream)[0])
    return Canvas(protocol, columns=size_of(stream)[0], cell=cell_size(stream))


def known(environment: Mapping[str, str]) -> Protocol:
    """What the terminal of this environment is known to understand."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if {"TMUX", "STY"} & environment.keys() or term.startswith(("tmux", "screen")):
        return "blocks"
    if term in KITTY:
        return "kitty"
    if term.startswith(SIXEL):
        return "sixel"
    if "XTERM_VERSION" in environment:
        return "blocks"
    if program in ITERM2 or (not program and environment.get("LC_TERMINAL") == "iTerm2"):  # the latter over ssh
        return "iterm2"
    return "blocks"


def cell_size(stream: TextIO) -> tuple[int, int]:
    """Width and height of a letter in pixels, as the kernel knows them, else a usual size."""
    try:
        import fcntl
        import struct
        import termios

        data = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
    except (ImportError, OSError, ValueError):
        return CELL
    rows, columns, width, height = struct.unpack("HHHH", data)
    if not (rows and columns and width >= columns and height >= rows):
        return CELL
    return width // columns, height // rows


def strip(images: Sequence[Image.Image], on: Canvas) -> NDArray[np.uint8]:
    """Images side by side, as many as there is room for: uint8 [height, width, 4], in whole cells, clear between.

    None is enlarged. Of those without room nothing is shown.
    """
    import numpy as np

    wide, high = on.pixel_cell
    room = (on.columns - 1) * wide
    tiles: list[NDArray[np.uint8]] = []
    for image in images:
        tile = np.asarray(shrunk(image, min(WIDEST * wide, room), ROWS * high))
        if tiles and sum(len(other[0]) + GAP * wide for other in tiles) + len(tile[0]) > room:
            break
        tiles.append(tile)
    rows = -(-max(map(len, tiles)) // high)
    width = sum(len(tile[0]) for tile in tiles) + GAP * wide * (len(tiles) - 1)
    pixels = np.zeros((rows * high, -(-width // wide) * wide, 4), np.uint8)
    left = 0
    for tile in tiles:
        height, width = tile.shape[:2]
        pixels[:height, left : left + width, :3] = tile
        pixels[:height, left : left + width, 3] = 255
        left += width + GAP * wide
    return pixels


def shrunk(image: Image.Image, width: int, height: int) -> Image.Image:
    """An image of at most this many pixels, quickly."""
    from PIL import Image

    scale = min(1.0, width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def frames(video: NDArray[np.uint8], on: Canvas) -> list[Image.Image]:
    """Frames of ``video`` uint8 [frames, height, width, 3], evenly spread, as many as stand side by side."""
    import numpy as np
    from PIL import Image

    wide, high = on.pixel_cell
    first = shrunk(Image.fromarray(video[0]), WIDEST * wide, ROWS * high)
    fit = ((on.columns - 1) * wide + GAP * wide) // (first.width + GAP * wide)
    count = max(1, min(FRAMES, len(video), fit))
    return [Image.fromarray(video[index]) for index in np.linspace(0, len(video) - 1, count).round().astype(int)]


def drawn(pixels: NDArray[np.uint8], on: Canvas) -> str:
    """What shows these pixels on a terminal, with a line end after it."""
    wide, high = on.pixel_cell
    columns, rows = pixels.shape[1] // wide, pixels.shape[0] // high
    match on.protocol:
        case "kitty":
            return graphics.kitty(pixels, columns, rows) + "\n"
        case "iterm2":
            return graphics.iterm2(pixels, columns, rows) + "\n"
        case "sixel":
            return graphics.sixel(pixels) + "\n"
        case "blocks":
            return graphics.blocks(pixels, on.depth) + "\n"
