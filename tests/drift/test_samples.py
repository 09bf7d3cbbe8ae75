"""The sample media are what their names say, and what the script in the repository draws."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples import make_media
from mistralrs_cli.decoded import DecodedAudio, DecodedImage, DecodedVideo
from mistralrs_cli.media import decode, fetch
from mistralrs_cli.messages import MediaRef, Modality
from mistralrs_cli.options import MediaPolicy

FOLDER = make_media.FOLDER


def read(kind: Modality, path: Path) -> DecodedVideo | DecodedAudio:
    """A sample as the product reads it."""
    found = decode(fetch(MediaRef(kind, str(path)), MediaPolicy()), MediaPolicy()).data
    assert not isinstance(found, DecodedImage)
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("beeps.*")), ids=lambda path: path.name)
def test_three_beeps_in_every_format(path: Path) -> None:
    sound = read("audio", path)
    assert isinstance(sound, DecodedAudio)
    assert sound.seconds == pytest.approx(1.49, abs=0.08)
    loud = np.convolve(np.abs(sound.samples), np.ones(800) / 800, "same") > 0.1
    assert np.count_nonzero(loud[1:] & ~loud[:-1]) == 3


@pytest.mark.parametrize("path", sorted(FOLDER.glob("clip.*")), ids=lambda path: path.name)
def test_a_green_square_moves_right_in_every_format(path: Path) -> None:
    clip = read("video", path)
    assert isinstance(clip, DecodedVideo)
    assert (clip.total, clip.width, clip.height) == (50, 320, 240)
    assert clip.fps == pytest.approx(25)
    frames = clip.frames.astype(int)
    green = (frames[..., 1] > frames[..., 0] + 60) & (frames[..., 1] > frames[..., 2] + 40)
    centers = [np.nonzero(mask)[1].mean() for mask in green]
    assert (np.diff(centers) > 0).all()
    assert centers[0] < 80 < 240 < centers[-1]


def test_the_script_draws_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_media, "FOLDER", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: None)
    make_media.main()
    drawn_here = {path.name for path in tmp_path.iterdir()}
    need_more = {"digits.wav", "commentary.wav", "sign.png"}  # espeak-ng, a font
    assert drawn_here | need_more == {path.name for path in FOLDER.iterdir()}
    for name in drawn_here & set(make_media.PICTURES):
        with Image.open(tmp_path / name) as drawn, Image.open(FOLDER / name) as kept:
            assert np.abs(np.asarray(drawn, int) - np.asarray(kept, int)).mean() < 1, name
