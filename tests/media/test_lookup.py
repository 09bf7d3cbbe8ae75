"""Files found by a name that is nearly theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mistralrs_cli.errors import MediaError, MediaForbidden, MediaNotFound
from mistralrs_cli.media import fetch
from mistralrs_cli.media.lookup import Lookup, folded, similar
from mistralrs_cli.messages import MediaRef
from mistralrs_cli.options import MediaPolicy

SCREENSHOT = "Screenshot 2026-02-03 at 9.41.00\u202fPM.png"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a\u202fb.png", "A b.PNG"),
        ("a\u00a0\u3000b.png", "a b.png"),
        ("Cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("it\u2019s.png", "it's.png"),
        ("2020\u20132021.png", "2020-2021.png"),
        ("zero\u200bwidth.png", "zerowidth.png"),
        ("Stra\u00dfe.png", "STRASSE.png"),
        ("\uff21.png", "a.png"),
    ],
)
def test_what_cannot_be_seen_is_folded(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [("a_b.png", "a b.png"), ("a.jpg", "a.jpeg"), ("ab.png", "a b.png")])
def test_what_can_be_seen_is_not(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (SCREENSHOT, "Same.JPG", "same.jpg", "Trip/Beach.PNG", "secret/Key.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dead.png").symlink_to("nothing.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_only_what_can_mean_one_file(here: Path) -> None:
    lookup = Lookup()
    assert lookup.files(Path(SCREENSHOT.replace("\u202f", " "))) == [Path(SCREENSHOT)]
    assert lookup.files(Path("trip/beach.png")) == [Path("Trip/Beach.PNG")]
    assert sorted(lookup.files(here / "SAME.jpg")) == [here / "Same.JPG", here / "same.jpg"]
    assert lookup.files(Path("FOLDER.png")) == []
    assert lookup.files(Path("Pipe.png")) == []
    assert lookup.files(Path("gone/x.png")) == []


def test_only_files_are_suggested_and_never_the_name_itself(here: Path) -> None:
    assert similar(Path("Screenshot 2026-02-03 at 9.41.01 PM.png")) == SCREENSHOT
    assert similar(Path("foldr.png")) is None
    assert similar(Path("./folder.png")) is None
    assert similar(Path("pipes.png")) is None


def test_sources_read_the_file_that_is_meant(here: Path) -> None:
    plain = SCREENSHOT.replace("\u202f", " ")
    for source in (plain, f"{here}/{plain}", f"file://{here}/{plain.replace(' ', '%20')}"):
        assert fetch(MediaRef("image", source), MediaPolicy()).data == SCREENSHOT.encode()
    with pytest.raises(MediaNotFound, match=r"No such file: SAME\.jpg"):
        fetch(MediaRef("image", "SAME.jpg"), MediaPolicy())


def test_a_server_looks_below_its_folders_only(here: Path) -> None:
    policy = MediaPolicy(local_roots=(str(here / "Trip"),))
    assert fetch(MediaRef("image", str(here / "Trip" / "beach.png")), policy).data == b"Trip/Beach.PNG"
    for source in (here / "trip" / "beach.png", here / "Trip" / ".." / "SECRET" / "key.png"):
        with pytest.raises(MediaForbidden):
            fetch(MediaRef("image", str(source)), policy)
    (here / "Trip" / "Out.png").symlink_to(here / "secret" / "Key.png")
    with pytest.raises(MediaForbidden):
        fetch(MediaRef("image", str(here / "Trip" / "out.png")), policy)


@pytest.mark.parametrize(
    ("source", "said"), [("folder.png", "is a folder"), ("dead.png", "is a link to nothing.png, which is not there")]
)
def test_what_is_there_instead_is_named(source: str, said: str, here: Path) -> None:
    with pytest.raises(MediaError, match=said):
        fetch(MediaRef("image", source), MediaPolicy())
