"""``--draw``: the boxes and points of an answer in its image, upright and in full size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from mistralrs_cli.cli.app import main
from mistralrs_cli.families import coordinates
from tests.fake_model import FakeFamily, FakeModels
from tests.media.pdf import document

Captured = pytest.CaptureFixture[str]
HALF = '[{"bbox_2d": [0, 0, 500, 500], "label": "cat"}]'


@pytest.fixture
def models() -> FakeModels:
    return FakeModels(["It is ", "red."], family=FakeFamily())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def photo(path: Path, width: int = 900, height: int = 600, *, turned: bool = False) -> str:
    """A white photo of this size, upright; ``turned`` has it lie on its side in the file."""
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.new("RGB", (height, width) if turned else (width, height), "white").save(path, exif=exif)
    return str(path)


def frame(path: Path) -> tuple[int, int, int, int] | None:
    """The rectangle that everything that is not white takes."""
    image = Image.open(path).convert("L").point([255 if level < 200 else 0 for level in range(256)])
    return image.getbbox()


def ask(models: FakeModels, answer: str, *words: str) -> int:
    models.answers = [[answer]]
    return main(["run", "-m", "M", "-i", "Where?", *words], models)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("words", [[], ["--max-edge", "64"]])
def test_a_box_is_drawn_where_it_is(
    here: Path, models: FakeModels, capsys: Captured, words: list[str], turned: bool
) -> None:
    name = photo(here / "photo.jpg", turned=turned)
    quarter = '[{"bbox_2d": [500, 500, 1000, 1000]}]'
    assert ask(models, quarter, "--image", name, "--draw", "out.png", *words) == 0
    assert capsys.readouterr() == (quarter + "\n", "note: 1 box drawn into out.png\n")
    with Image.open("out.png") as image:
        assert image.size == (900, 600)
    assert frame(here / "out.png") == (450, 300, 900, 600)


def test_the_formats_that_a_name_may_have(here: Path, models: FakeModels) -> None:
    for name, form in (("a.jpg", "JPEG"), ("b.webp", "WEBP"), ("c.TIFF", "TIFF")):
        assert ask(models, HALF, "--image", photo(here / "photo.png"), "--draw", name) == 0
        with Image.open(name) as image:
            assert image.format == form


def test_each_of_several_images_has_a_file_of_its_number(here: Path, models: FakeModels, capsys: Captured) -> None:
    names = [photo(here / f"{name}.png") for name in ("a", "b", "c")]
    answer = 'Image 1: [{"bbox_2d": [0, 0, 500, 500]}] Image 3: [{"point_2d": [0, 0]}, {"point_2d": [9, 9]}]'
    assert ask(models, answer, "--image", *names, "--draw", "out.png") == 0
    assert sorted(path.name for path in here.glob("out*")) == ["out-1.png", "out-3.png"]
    assert capsys.readouterr().err == "note: 1 box drawn into out-1.png\nnote: 2 points drawn into out-3.png\n"


def test_a_page_of_a_document_is_drawn_as_it_was_read(here: Path, models: FakeModels) -> None:
    (here / "doc.pdf").write_bytes(document(3))
    assert ask(models, HALF, "--image", "doc.pdf#page=2", "--pdf-dpi", "300", "--draw", "out.png") == 0
    with Image.open("out.png") as image:
        assert (image.size, image.getpixel((590, 290))) == ((600, 300), (0, 255, 0))


def test_a_frame_is_drawn_for_each_time(here: Path, models: FakeModels, samples: Path) -> None:
    answer = '[{"time": 0.5, "bbox_2d": [0, 0, 500, 500]}, {"time": 9, "bbox_2d": [0, 0, 500, 500]}]'
    assert ask(models, answer, "--video", str(samples / "clip.mp4"), "--draw", "out.png") == 0
    assert sorted(path.name for path in here.glob("out*")) == ["out-0.48s.png", "out-1.92s.png"]


def test_without_a_mark_there_is_no_file(here: Path, models: FakeModels, capsys: Captured) -> None:
    assert ask(models, "It is red.", "--image", photo(here / "photo.png"), "--draw", "out.png") == 5
    out, err = capsys.readouterr()
    assert out == "It is red.\n"
    assert err.startswith("error: The answer marks no box and no point, so out.png is not drawn.\nhint: ")
    assert not (here / "out.png").exists()


def test_what_cannot_be_placed_is_said(here: Path, models: FakeModels, capsys: Captured) -> None:
    answer = f'{HALF} and [{{"bbox_2d": [0, 0, 5000, 5000]}}]'
    assert ask(models, answer, "--image", photo(here / "photo.png"), "--draw", "out.png") == 0
    assert "note: 1 of its boxes and points left out: they lie outside the image\n" in capsys.readouterr().err


def test_numbers_of_an_unknown_model_are_not_drawn(here: Path, models: FakeModels, capsys: Captured) -> None:
    """Where the family is not known to point: the note says so, and the error does not say that nothing is marked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coordinates, "COORDINATES", {})
        assert ask(models, HALF, "--image", photo(here / "photo.png"), "--draw", "out.png") == 5
    assert capsys.readouterr().err.splitlines()[:2] == [
        "note: 1 of its boxes and points left out: it is not known what the numbers of this model mean",
        "error: No box or point of the answer could be placed, so out.png is not drawn.",
    ]
    assert not (here / "out.png").exists()


def test_json_has_a_note_on_what_cannot_be_placed(here: Path, models: FakeModels, capsys: Captured) -> None:
    assert ask(models, '[{"bbox_2d": [0, 0, 5000, 5000]}]', "--image", photo(here / "photo.png"), "--json") == 0
    out, err = capsys.readouterr()
    assert "boxes" not in json.loads(out)
    assert err == "note: 1 of its boxes and points left out: they lie outside the image\n"


def test_json_holds_the_pixels(here: Path, models: FakeModels, capsys: Captured) -> None:
    assert ask(models, HALF, "--image", photo(here / "photo.png"), "--json", "--draw", "out.png") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["boxes"] == [{"label": "cat", "box": [0, 0, 450, 300], "media": 0, "source": str(here / "photo.png")}]
    assert "points" not in found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--draw", "out.xyz"], "out.xyz names no image format to write."),
        (["--draw", "photo.png"], "photo.png is the image that is asked about."),
        (["--draw", "none/out.png"], "There is no folder none."),
        (["--draw", "out.png", "--dry-run"], "--draw and --dry-run exclude each other."),
    ],
)
def test_what_cannot_be_drawn_is_said_first(
    here: Path, models: FakeModels, capsys: Captured, words: list[str], message: str
) -> None:
    photo(here / "photo.png")
    assert main(["run", "-m", "M", "-i", "Where?", "--image", "photo.png", *words], models) == 2
    assert message in capsys.readouterr().err
    assert models.asked == []


def test_drawing_needs_an_image_and_a_question(models: FakeModels, capsys: Captured) -> None:
    assert main(["run", "-m", "M", "-i", "Where?", "--draw", "out.png"], models) == 2
    assert "--draw needs an image" in capsys.readouterr().err
    assert main(["run", "-m", "M", "--image", "a.png", "--draw", "out.png"], models) == 2
    assert "not those of a chat" in capsys.readouterr().err
