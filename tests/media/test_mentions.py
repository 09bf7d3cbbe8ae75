"""The grammar of media in a line, by its table."""

import re
import subprocess
import time

import pytest

from mistralrs_cli.media.ffmpeg import executable
from mistralrs_cli.media.mentions import read
from mistralrs_cli.media.suffixes import CERTAIN, POSSIBLE
from mistralrs_cli.messages import MediaRef, Text

from .mention_table import PAGE, Case, cases, look, near, page, shown


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.line)
def test_the_table(case: Case) -> None:
    assert shown(read(case.line, look, near)) == case.becomes


def test_the_table_is_large() -> None:
    assert len(list(cases())) >= 80


def test_a_medium_stands_in_its_place() -> None:
    assert read("is a.jpg before b.jpg?", look).parts == (
        Text("is "),
        MediaRef("image", "a.jpg"),
        Text(" before "),
        MediaRef("image", "b.jpg"),
        Text("?"),
    )


def test_a_link_of_markdown_holds_a_medium() -> None:
    assert shown(read("![a cat](photo.jpg)", look)) == "![a cat]([image photo.jpg])"


def test_what_is_no_medium_is_kept_to_the_letter() -> None:
    line = "  tabs\there,  'quotes' \"too\" \\ and\r\n\n…  "
    assert read(line, look).parts == (Text(line),)


def test_nothing_is_looked_up_twice_and_plain_words_never() -> None:
    asked: list[str] = []
    read("some plain words and gone.png and gone.png", lambda path: asked.append(path) or "missing")  # type: ignore[func-returns-value]
    assert len(asked) == len(set(asked))
    assert all("gone.png" in path for path in asked)


def test_a_long_paste_is_read_at_once() -> None:
    text = ("a line of words, some/path.py and file.png (see [this](there)) 'quoted' `code`\n" * 300) + "'" * 2000
    begun = time.process_time()
    read(text, look)
    assert time.process_time() - begun < 5


def test_every_suffix_of_the_libraries_is_known() -> None:
    import soundfile
    from PIL import Image

    Image.init()
    unreadable = {"EPS", "WMF", "FITS", "GRIB", "HDF5", "BUFR", "MPEG"}
    pillow = {
        suffix[1:] for suffix, name in Image.registered_extensions().items() if name in Image.OPEN.keys() - unreadable
    }
    assert pillow - CERTAIN.keys() - POSSIBLE.keys() == set()
    named = {name.lower() for name in soundfile.available_formats()} - {"mat4", "mat5", "mpc2k", "raw", "wavex"}
    assert named - CERTAIN.keys() - POSSIBLE.keys() == set()
    assert CERTAIN.keys() & POSSIBLE.keys() == set()


def test_suffixes_of_ffmpeg_are_known() -> None:
    """A sample of its formats: there are hundreds, and each is asked for in a process of its own."""
    named: set[str] = set()
    for format in ("adx", "asf", "brstm", "eac3", "h264", "matroska", "mov", "mp3", "mpegts", "oma", "truehd", "vvc"):
        told = subprocess.run([executable(), "-h", f"demuxer={format}"], capture_output=True, text=True).stdout
        if found := re.search(r"Common extensions: (.*)\.", told):
            named.update(found.group(1).split(","))
    assert {"mp4", "mkv", "mp3", "ec3"} <= named
    assert named - CERTAIN.keys() - POSSIBLE.keys() == {"mks"}  # subtitles


def test_the_page_shows_every_case_as_it_is_tested() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.media.mention_table --write"
