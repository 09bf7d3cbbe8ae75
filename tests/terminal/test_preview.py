"""Which terminals are shown pictures, and how large."""

import numpy as np
import pytest
from PIL import Image

from mistralrs_cli.terminal import preview
from mistralrs_cli.terminal.preview import Canvas, PreviewMode, canvas, drawn, frames, known, strip

from .streams import Stream

RED = (255, 0, 0)


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm-256color"}, "sixel"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "LC_TERMINAL": "iTerm2"}, "blocks"),
        ({"TERM": "xterm", "XTERM_VERSION": "XTerm(390)", "TERM_PROGRAM": "iTerm.app"}, "blocks"),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, "blocks"),
        ({"TERM": "screen.xterm-256color"}, "blocks"),
        ({}, "blocks"),
    ],
)
def test_terminals_are_known_by_their_environment(environment: dict[str, str], protocol: str) -> None:
    assert known(environment) == protocol


@pytest.mark.parametrize(
    ("mode", "colors", "environment", "encoding", "shown"),
    [
        ("auto", "256", {}, "utf-8", "256"),
        ("auto", "truecolor", {}, "utf-8", "truecolor"),
        ("auto", "standard", {}, "utf-8", None),
        ("auto", None, {}, "utf-8", None),
        ("auto", "256", {"NO_COLOR": "1"}, "utf-8", None),
        ("auto", "256", {}, "ascii", None),
        ("off", "truecolor", {}, "utf-8", None),
    ],
)
def test_half_blocks_need_colours_and_letters(
    mode: PreviewMode, colors: str | None, environment: dict[str, str], encoding: str, shown: str | None
) -> None:
    found = canvas(mode, Stream(terminal=True, encoding=encoding), colors, environment)
    assert (found and found.depth) == shown


def test_a_protocol_can_be_asked_for() -> None:
    found = canvas("sixel", Stream(terminal=True), None, {"TERM": "xterm", "NO_COLOR": "1"})
    assert found is not None
    assert (found.protocol, found.cell) == ("sixel", preview.CELL)


def test_pictures_stand_side_by_side_and_none_is_enlarged() -> None:
    on = Canvas("blocks", columns=80)
    pixels = strip([Image.new("RGB", (400, 300), RED), Image.new("RGB", (3, 3), RED)], on)
    assert pixels.shape == (16, 21 + 2 + 3, 4)
    assert pixels[:, 21:23, 3].max() == 0  # the gap is clear
    assert pixels[3:, 23:, 3].max() == 0  # below the small one, too
    assert pixels[0, 0].tolist() == [*RED, 255]


def test_what_has_no_room_is_left_out_but_the_first_is_shown() -> None:
    on = Canvas("blocks", columns=40)
    assert strip([Image.new("RGB", (400, 300))] * 5, on).shape[1] == 21
    assert strip([Image.new("RGB", (4000, 10))], on).shape == (2, 39, 4)
    assert strip([Image.new("RGB", (10, 4000))], on).shape == (16, 1, 4)


def test_graphics_fill_whole_cells() -> None:
    on = Canvas("kitty", columns=80, cell=(9, 18))
    pixels = strip([Image.new("RGB", (400, 301), RED)], on)
    assert (pixels.shape[0] % 18, pixels.shape[1] % 9) == (0, 0)
    assert f"s={pixels.shape[1]},v={pixels.shape[0]},c={pixels.shape[1] // 9},r=8," in drawn(pixels, on)


def test_frames_are_spread_over_the_clip() -> None:
    clip = np.zeros((50, 30, 40, 3), np.uint8)
    clip[:, :, :, 0] = np.arange(50)[:, None, None]
    found = [np.asarray(frame)[0, 0, 0] for frame in frames(clip, Canvas("blocks", columns=80))]
    assert found == [0, 24, 49]
    assert len(frames(clip[:1], Canvas("blocks", columns=80))) == 1
    assert len(frames(clip, Canvas("blocks", columns=400))) == preview.FRAMES
