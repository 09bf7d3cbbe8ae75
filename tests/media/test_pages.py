"""Documents of several pages: PDF and TIFF, page by page, and what is said of those that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from mistralrs_cli.decoded import DecodedImage
from mistralrs_cli.errors import MediaDecodeError, MediaError, MediaForbidden, MediaNotFound, MediaTooLarge
from mistralrs_cli.media import decode, fetch, in_pages, pages, pdf, pdf_worker
from mistralrs_cli.messages import MediaBytes, MediaOptions, MediaRef, TextFile
from mistralrs_cli.options import MediaPolicy
from tests.media.pdf import COLOURS, document

POLICY = MediaPolicy()


def medium(data: bytes, **options: object) -> MediaBytes:
    return MediaBytes("image", "doc.pdf", data, options=MediaOptions(**options))  # type: ignore[arg-type]


def images(data: bytes, policy: MediaPolicy = POLICY, **options: object) -> list[DecodedImage]:
    found = []
    for page in in_pages(medium(data, **options), policy):
        assert isinstance(page, MediaBytes)
        image = decode(page, policy).data
        assert isinstance(image, DecodedImage)
        found.append(image)
    return found


def corner(image: DecodedImage) -> tuple[int, ...]:
    """The colour at the top left, as multiples of 255."""
    level = image.image.getpixel((0, 0))
    assert isinstance(level, tuple)
    return tuple(round(value / 255) * 255 for value in level)


def tiff(*colours: tuple[int, int, int], thumbnail: bool = False) -> bytes:
    file = BytesIO()
    frames = [Image.new("RGB", (30 + number, 20), colour) for number, colour in enumerate(colours)]
    if thumbnail:
        frames[1].encoderinfo = {"tiffinfo": {254: 1}}
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_each_page_is_an_image_of_its_own() -> None:
    found = images(document(3))
    assert [corner(image) for image in found] == list(COLOURS[:3])
    assert {image.image.size for image in found} == {(300, 150)}  # two inches by one
    assert {(image.width, image.height, image.format, image.more) for image in found} == {(300, 150, "PDF", False)}


def test_how_large_a_page_is() -> None:
    whole = document(1)
    assert [image.image.size for image in images(whole, dpi=72)] == [(144, 72)]
    (small,) = images(whole, max_edge=60)
    assert (small.image.size, (small.width, small.height)) == ((60, 30), (300, 150))
    (poster,) = images(document(1, size=(14_400, 14_400)), replace(POLICY, pixels=1_000_000))
    assert 900_000 < poster.image.width * poster.image.height <= 1_003_000


@pytest.mark.parametrize(
    ("asked", "taken"),
    [("2", [2]), ("2-4", [2, 3, 4]), ("3-", [3, 4, 5]), ("5,1-2", [5, 1, 2]), ("1,1", [1, 1])],
)
def test_pages_that_are_asked_for(asked: str, taken: list[int], tmp_path: Path) -> None:
    (tmp_path / "doc.pdf").write_bytes(document(5))
    found = fetch(MediaRef("image", f"{tmp_path}/doc.pdf#page={asked}"), POLICY)
    parts = in_pages(found, POLICY)
    assert [part.source for part in parts] == [f"{tmp_path}/doc.pdf#page={number}" for number in taken]
    again = fetch(MediaRef("image", parts[0].source), POLICY)
    assert in_pages(again, POLICY)[0].options.pages == str(taken[0])  # type: ignore[union-attr]


def test_a_file_may_be_called_like_pages(tmp_path: Path) -> None:
    (tmp_path / "a.png#page=2").write_bytes(tiff(COLOURS[0]))
    assert fetch(MediaRef("image", f"{tmp_path}/a.png#page=2"), POLICY).options.pages is None


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ("4", MediaNotFound, r"doc.pdf has 3 pages; there is no page 4"),
        ("0", MediaNotFound, "there is no page 0"),
        ("2-9", MediaNotFound, "there is no page 9"),
        ("3-2", MediaError, "run backwards"),
        ("two", MediaError, "names no pages"),
        ("", MediaError, "names no pages"),
        ("1" * 5000, MediaError, "names no pages"),
        ("1-3," * 10**6, MediaTooLarge, r"102 or more pages of doc.pdf are asked for; at most 100"),
    ],
)
def test_pages_that_are_not_there(asked: str, error: type[MediaError], says: str) -> None:
    with pytest.raises(error, match=says):
        pages.numbers(asked, 3, "doc.pdf", 100)


def test_too_many_pages_are_refused_rather_than_cut() -> None:
    with pytest.raises(MediaTooLarge, match=r"doc.pdf has 5 pages; at most 4 are taken at once") as caught:
        in_pages(medium(document(5)), replace(POLICY, pages=4))
    assert caught.value.hint == "Name some of them, as in doc.pdf#page=1-4"
    with pytest.raises(MediaTooLarge, match=r"5 or more pages of doc\.pdf are asked for"):
        in_pages(medium(document(9), pages="1-5"), replace(POLICY, pages=4))


def test_text_before_each_page() -> None:
    parts = in_pages(medium(document(2), page_text=True), POLICY)
    assert [type(part) for part in parts] == [TextFile, MediaBytes, TextFile, MediaBytes]
    assert parts[2] == TextFile.fenced("doc.pdf#page=2", "page 2")


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (document(1, encrypted=True), MediaForbidden, "doc.pdf is encrypted"),
        (document(1)[:150], MediaDecodeError, "doc.pdf is a damaged PDF"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 8, MediaDecodeError, "doc.pdf is a damaged PDF"),
        (document(0), MediaDecodeError, "doc.pdf is a damaged PDF"),
    ],
)
def test_documents_that_cannot_be_read(data: bytes, error: type[MediaError], says: str) -> None:
    with pytest.raises(error, match=says):
        in_pages(medium(data), POLICY)


def test_a_document_that_takes_too_long_or_harms_its_reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(MediaTooLarge, match="takes longer than"):
        pdf.page_count(document(1), "doc.pdf", replace(POLICY, decode_seconds=0.0))
    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(pdf, "WORKER", crash)
    with pytest.raises(MediaDecodeError, match="damaged PDF"):
        pdf.page_count(document(1), "doc.pdf", POLICY)


def test_the_worker_is_where_it_is_looked_for() -> None:
    assert Path(pdf_worker.__file__) == pdf.WORKER


def test_pages_of_a_tiff_without_its_smaller_copies() -> None:
    assert [corner(image) for image in images(tiff(*COLOURS[:3]))] == list(COLOURS[:3])
    assert [corner(image) for image in images(tiff(*COLOURS[:3], thumbnail=True))] == [COLOURS[0], COLOURS[2]]
    alone = medium(tiff(COLOURS[0]))
    assert in_pages(alone, POLICY) == (alone,)


def test_what_has_no_pages() -> None:
    png = BytesIO()
    Image.new("RGB", (4, 4)).save(png, "PNG")
    whole = medium(png.getvalue())
    assert in_pages(whole, POLICY) == (whole,)
    with pytest.raises(MediaError, match=r"doc.pdf has no pages"):
        in_pages(medium(png.getvalue(), pages="2"), POLICY)
