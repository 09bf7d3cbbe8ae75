"""Text files in a question: which encodings are read, and what the model is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistralrs_cli.errors import MediaDecodeError, MediaError, MediaNotFound, MediaTooLarge
from mistralrs_cli.media.texts import LARGEST, encoding_of, read_text


@pytest.mark.parametrize(
    ("data", "text", "note"),
    [
        ("Grüße\r\nzwei\r\n".encode(), "Grüße\nzwei", ""),
        ("\ufeffGrüße".encode(), "Grüße", ""),
        ("Grüße".encode("utf-16"), "Grüße", ""),
        ("Grüße".encode("utf-32"), "Grüße", ""),
        ("Grüße aus dem Süden – “so”".encode("cp1252"), "Grüße aus dem Süden – “so”", "was read as Windows-1252"),
    ],
)
def test_encodings(data: bytes, text: str, note: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    found = read_text(str(tmp_path / "a.txt"))
    assert found.file.text == f"{tmp_path}/a.txt:\n```\n{text}\n```\n\n"
    assert found.lines == text.count("\n") + 1
    assert note in found.note
    assert bool(note) == bool(found.note)


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ("日本語のテキストです".encode("shift_jis"), MediaDecodeError, "iconv"),
        (b"\x00\x01\x02", MediaDecodeError, "is not a text"),
        (b"", MediaDecodeError, "is empty"),
        (b"a" * (LARGEST + 1), MediaTooLarge, "larger than 1 MiB"),
    ],
)
def test_what_is_refused(data: bytes, error: type[MediaError], said: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(error) as raised:
        read_text(str(tmp_path / "a.txt"))
    assert said in f"{raised.value.message} {raised.value.hint}"


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(MediaNotFound) as raised:
        read_text(str(tmp_path / "notse.txt"))
    assert raised.value.hint == "Did you mean 'notes.txt'?"
    with pytest.raises(MediaNotFound, match="is a folder"):
        read_text(str(tmp_path))
    assert read_text(str(tmp_path / "NOTES.TXT")).lines == 1


def test_the_fence_is_longer_than_those_inside(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("````\ncode\n````\n")
    assert "\n`````\n````\ncode\n````\n`````\n" in read_text(str(tmp_path / "a.md")).file.text


def test_a_head_may_end_within_a_character() -> None:
    data = "é".encode()[:1]
    assert encoding_of(b"abc" + data, whole=False) == "utf-8"
    assert encoding_of(b"abcdefgh" + data) == "cp1252"
