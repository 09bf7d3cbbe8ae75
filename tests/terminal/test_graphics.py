"""What draws pictures on terminals: read back, it has the same pixels."""

import base64
import re
import zlib
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mistralrs_cli.terminal import graphics

RED, BLUE, CLEAR = (255, 0, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)


def pixels(*rows: list[tuple[int, int, int, int]]) -> NDArray[np.uint8]:
    return np.array(rows, np.uint8)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    found = np.random.default_rng(1).integers(0, 256, (height, width, 4)).astype(np.uint8)
    found[..., 3] = 255
    return found


def test_kitty_gets_the_pixels_in_chunks() -> None:
    shown = noise(60, 80)
    commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", graphics.kitty(shown, 8, 3))
    assert commands[0][0] == "a=T,f=32,o=z,s=80,v=60,c=8,r=3,q=2,m=1"
    assert [head for head, _ in commands[1:]] == ["m=1"] * (len(commands) - 2) + ["m=0"]
    assert all(len(data) == 4096 for _, data in commands[:-1])
    data = zlib.decompress(base64.b64decode("".join(data for _, data in commands)))
    assert (np.frombuffer(data, np.uint8).reshape(shown.shape) == shown).all()


def test_a_small_picture_is_one_command_of_kitty() -> None:
    assert graphics.kitty(pixels([RED]), 1, 1).startswith("\x1b_Ga=T,f=32,o=z,s=1,v=1,c=1,r=1,q=2,m=0;")


def test_iterm2_gets_a_png() -> None:
    shown = pixels([RED, CLEAR], [BLUE, RED])
    found = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=2;height=1;[^:]*:([^\x07]*)\x07", graphics.iterm2(shown, 2, 1)
    )
    assert found is not None
    data = base64.b64decode(found[2])
    assert len(data) == int(found[1])
    assert (np.asarray(Image.open(BytesIO(data))) == shown).all()


def read_sixel(text: str) -> NDArray[np.int64]:
    """The colours, in percent, that a terminal would show: [height, width, 3], -1 where nothing is drawn."""
    found = re.fullmatch(r'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\', text)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    shown = np.full((height + 5, width, 3), -1)
    palette: dict[str, list[int]] = {}
    color, x, y = "", 0, 0
    for number, values, count, letter in re.findall(r"#(\d+)((?:;\d+)*)|(?:!(\d+))?([?-~$-])", found[3]):
        if values:
            palette[number] = [int(value) for value in values.split(";")[2:]]
        elif number:
            color = number
        elif letter == "$":
            x = 0
        elif letter == "-":
            x, y = 0, y + 6
        else:
            times = int(count or 1)
            for bit in range(6):
                if (ord(letter) - 63) >> bit & 1:
                    shown[y + bit, x : x + times] = palette[color]
            x += times
    return shown[:height]


def test_sixels_have_the_colours_at_their_places() -> None:
    rows = [[RED] * 5 + [BLUE] * 3 + [CLEAR] * 2] * 7 + [[CLEAR] * 9 + [RED]]
    shown = read_sixel(graphics.sixel(pixels(*rows)))
    assert shown.shape == (8, 10, 3)
    expected = {RED: [100, 0, 0], BLUE: [0, 0, 100], CLEAR: [-1, -1, -1]}
    assert np.abs(shown - [[expected[pixel] for pixel in row] for row in rows]).max() <= 2  # of a hundred


def test_sixels_of_noise_come_near_it() -> None:
    shown = noise(20, 30)
    assert np.abs(read_sixel(graphics.sixel(shown)) - shown[..., :3] / 2.55).mean() < 20


def test_half_blocks_are_two_pixels_in_a_cell() -> None:
    assert graphics.blocks(pixels([RED, RED], [BLUE, BLUE]), "truecolor") == (
        "\x1b[38;2;255;0;0;48;2;0;0;255m▀▀\x1b[0m"
    )
    assert graphics.blocks(pixels([RED, CLEAR], [BLUE, CLEAR]), "256") == "\x1b[38;5;196;48;5;21m▀\x1b[0m \x1b[0m"
    assert graphics.blocks(pixels([RED], [CLEAR], [CLEAR], [BLUE]), "256") == (
        "\x1b[0;38;5;196m▀\x1b[0m\n\x1b[0;38;5;21m▄\x1b[0m"
    )
    assert graphics.blocks(pixels([RED], [RED], [BLUE]), "256").count("\n") == 1


@pytest.mark.parametrize(
    ("color", "number"),
    [((0, 0, 0), 16), ((255, 255, 255), 231), ((118, 118, 118), 243), ((135, 95, 215), 98), ((250, 2, 1), 196)],
)
def test_the_nearest_of_the_256_colours(color: tuple[int, int, int], number: int) -> None:
    assert graphics.nearest(np.array([color], np.uint8)).tolist() == [number]
