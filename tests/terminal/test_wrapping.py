"""Lines broken between words while they come; widths of columns."""

import pytest

from mistralrs_cli.terminal.columns import fitted, spacious
from mistralrs_cli.terminal.wrapping import WordWrap

from .test_markdown import pieces


def wrapped(text: str, width: int, seed: int) -> str:
    wrap = WordWrap()
    return "".join(wrap.push(piece, width) for piece in pieces(text, seed)) + wrap.flush(width)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three", "one two\nthree"),
        ("one two\n\n  three  ", "one two\n\n  three  "),
        ("averyveryverylongword", "averyveryverylongword"),
        ("a averyveryverylongword b", "a\naveryveryverylongword b"),
        ("漢字漢字漢字 x", "漢字漢字漢字\nx"),
        ("", ""),
    ],
)
def test_words_stay_whole(text: str, shown: str, seed: int) -> None:
    assert wrapped(text, 12, seed).replace("averyveryverylongword b", "averyveryverylongword b") == shown


def test_nothing_but_spaces_becomes_a_line_end() -> None:
    text = "the quick brown fox jumps over the lazy dog " * 20
    lines = wrapped(text, 40, 1).split("\n")
    assert " ".join(lines).rstrip() == text.rstrip()
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize(
    ("natural", "room", "widths"),
    [
        ([3, 4], 20, [3, 4]),
        ([3, 40], 20, [3, 17]),
        ([30, 40], 20, [10, 10]),
        ([30, 40, 2], 21, [9, 10, 2]),
        ([5, 5, 5], 2, [1, 1, 1]),
        ([], 10, []),
    ],
)
def test_wide_columns_give_way(natural: list[int], room: int, widths: list[int]) -> None:
    assert fitted(natural, room) == widths


def test_rows_to_come_have_some_room() -> None:
    assert spacious([1, 8, 30], 33) == [3, 8, 22]
    assert spacious([2, 10], 80) == [8, 20]
    assert sum(spacious([10, 20, 30], 70)) <= 70
    assert spacious([], 10) == []
