"""Images as terminals take them: pure functions of pixels uint8 [height, width, 4], red, green, blue and alpha.

Pixels with an alpha of 0 are left as the terminal is. The cursor begins on the line of the image's top and has to be
moved below it afterwards, by a line end.
"""

from __future__ import annotations

import base64
import re
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Depth = Literal["256", "truecolor"]
CHUNK = 4096  # base64 characters of one command, as kitty's protocol has it
RUN = re.compile(r"(.)\1{3,}")
COLORS = 64  # of a sixel image
LEVELS = (0, 95, 135, 175, 215, 255)  # of red, green and blue in the cube of the 256 colours


def kitty(pixels: NDArray[np.uint8], columns: int, rows: int) -> str:
    """Kitty's graphics protocol (https://sw.kovidgoyal.net/kitty/graphics-protocol): compressed pixels in chunks.

    The image fills so many columns and rows; ``q=2`` asks the terminal to send nothing back.
    """
    height, width = pixels.shape[:2]
    data = base64.standard_b64encode(zlib.compress(pixels.tobytes())).decode()
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    head = f"a=T,f=32,o=z,s={width},v={height},c={columns},r={rows},q=2,"
    last = len(chunks) - 1
    return "".join(
        f"\x1b_G{'' if number else head}m={int(number < last)};{chunk}\x1b\\" for number, chunk in enumerate(chunks)
    )


def iterm2(pixels: NDArray[np.uint8], columns: int, rows: int) -> str:
    """iTerm2's inline images (https://iterm2.com/documentation-images.html): a PNG that fills columns and rows."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG", compress_level=1)
    data = file.getvalue()
    size = f"size={len(data)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File=inline=1;{size}:{base64.standard_b64encode(data).decode()}\x07"


def sixel(pixels: NDArray[np.uint8]) -> str:
    """DEC's sixels: bands of six rows, each colour of a band over the others (VT330/VT340 manual, chapter 14)."""
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]), "RGB")
    image = image.quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    indices = np.where(pixels[..., 3] > 0, np.asarray(image).astype(np.int16), -1)
    palette = np.array(image.getpalette(), np.int64).reshape(-1, 3) * 100 // 255  # percent
    parts = [f'\x1bP0;1q"1;1;{width};{height}']
    parts += [f"#{color};2;{';'.join(map(str, palette[color]))}" for color in np.unique(indices[indices >= 0])]
    for top in range(0, height, 6):
        band = indices[top : top + 6]
        bits = 1 << np.arange(len(band))[:, None]
        for color in np.unique(band[band >= 0]):
            parts.append(f"#{color}{run_lengths(((band == color) * bits).sum(0))}$")
        parts.append("-")
    return "".join(parts[:-1]) + "\x1b\\"


def run_lengths(sixels: NDArray[Any]) -> str:
    """Columns of six pixels as letters, equal ones counted, empty ones at the end left out: ``~~~~~?`` is ``!5~``."""
    letters = (63 + sixels).astype("uint8").tobytes().decode("ascii").rstrip("?")
    return RUN.sub(lambda run: f"!{len(run[0])}{run[1]}", letters)


def blocks(pixels: NDArray[np.uint8], depth: Depth) -> str:
    """Half blocks, two pixels in a cell, a line for every two rows. An odd last row stands over nothing."""
    import numpy as np

    if len(pixels) % 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[:1])])
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line, before = "", ""
        for sign, style in map(cell, codes(upper, depth), codes(lower, depth)):
            line += sign if style == before else f"\x1b[{style}m{sign}"
            before = style
        lines.append(line + "\x1b[0m")
    return "\n".join(lines)


def cell(upper: str, lower: str) -> tuple[str, str]:
    """The sign and the style of two pixels, given what names their colours, if anything."""
    if upper and lower:
        return "▀", f"38;{upper};48;{lower}"
    if upper or lower:
        return ("▀", f"0;38;{upper}") if upper else ("▄", f"0;38;{lower}")
    return " ", "0"


def codes(row: NDArray[np.uint8], depth: Depth) -> list[str]:
    """What names the colour of each pixel of ``row`` uint8 [width, 4]; nothing where there is none."""
    if depth == "truecolor":
        return [f"2;{red};{green};{blue}" if alpha else "" for red, green, blue, alpha in row.tolist()]
    numbers = nearest(row[:, :3]).tolist()
    return [f"5;{number}" if alpha else "" for number, alpha in zip(numbers, row[:, 3].tolist(), strict=True)]


def nearest(colors: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The nearest of the 256 colours (the cube and the greys, not the first 16) for ``colors`` uint8 [n, 3]: [n]."""
    import numpy as np

    wide = colors.astype(np.int64)
    levels = np.array(LEVELS)
    steps = np.abs(wide[..., None] - levels).argmin(-1)
    grey = ((wide.mean(-1) - 8) / 10).round().clip(0, 23).astype(np.int64)
    cube_error = ((levels[steps] - wide) ** 2).sum(-1)
    grey_error = ((8 + 10 * grey[:, None] - wide) ** 2).sum(-1)
    found: NDArray[np.int64] = np.where(grey_error < cube_error, 232 + grey, 16 + steps @ np.array([36, 6, 1]))
    return found
