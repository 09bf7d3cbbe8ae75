"""Which files a word means, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistralrs_cli.batch.files import files_of, kind_by_name, natural
from mistralrs_cli.errors import MediaNotFound


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of photos, some of them deeper, hidden, or no photos."""
    monkeypatch.chdir(tmp_path)
    for name in (
        *("shots/a10.jpg", "shots/a2.jpg", "shots/A1.jpg", "shots/b/c1.png", "shots/b/.hidden.png", "shots/notes.txt"),
        *("shots/.cache/x.jpg", "shots/[odd].jpg", "shots/d.JPG"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("shots/*.jpg", ["[odd].jpg", "A1.jpg", "a2.jpg", "a10.jpg"]),
        ("./shots/a*.jpg", ["a2.jpg", "a10.jpg"]),
        ("shots/**/*.{jpg,png}", ["[odd].jpg", "A1.jpg", "a2.jpg", "a10.jpg", "b/c1.png"]),
        ("shots", ["[odd].jpg", "A1.jpg", "a2.jpg", "a10.jpg", "b/c1.png", "d.JPG"]),
        ("shots/[odd].jpg", ["[odd].jpg"]),
        ("shots/*", ["[odd].jpg", "A1.jpg", "a2.jpg", "a10.jpg", "d.JPG", "notes.txt"]),
    ],
)
def test_what_a_word_means(word: str, found: list[str], folder: Path) -> None:
    assert sorted(files_of(word)) == sorted(f"shots/{name}" for name in found)
    plain = [name for name in files_of(word) if "[" not in name]
    assert plain == [f"shots/{name}" for name in found if "[" not in name]


def test_names_are_sorted_as_people_sort_them() -> None:
    names = ["img12", "img2", "IMG1", "img2b", "2", "10", "²"]
    assert sorted(names, key=natural) == ["2", "10", "IMG1", "img2", "img2b", "img12", "²"]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("shots/*.jpeg", "Check the pattern."),
        ("shots/*.PNG", "Check the pattern."),
        ("shots/b/*.PNG", "Upper and lower case differ; try 'shots/b/*.png'"),
        ("pictures/*.jpg", "There is no folder pictures."),
        ("shots/a3.jpg", "Did you mean 'shots/"),
        ("shots/.cache/*.png", "Check the pattern."),
    ],
)
def test_nothing_there_is_an_error_that_helps(word: str, hint: str, folder: Path) -> None:
    with pytest.raises(MediaNotFound) as raised:
        files_of(word)
    assert hint in str(raised.value.hint)


def test_a_folder_without_media_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFound, match="no images, audio or videos"):
        files_of(str(tmp_path))


def test_an_address_stays_as_it_is() -> None:
    assert files_of("https://example.com/a*b.jpg") == ["https://example.com/a*b.jpg"]


@pytest.mark.parametrize(("name", "kind"), [("a.JPG", "image"), ("a.opus", "audio"), ("a.md", None), ("a", None)])
def test_kinds_by_name(name: str, kind: str | None) -> None:
    assert kind_by_name(name) == kind
