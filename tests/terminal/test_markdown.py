"""Markdown that is drawn while it comes: nothing is lost, nothing is shown twice."""

import random
import re
from collections.abc import Iterator

import pytest

from mistralrs_cli.events import ReasoningDelta, TextDelta
from mistralrs_cli.terminal import markdown
from mistralrs_cli.terminal.console import Console
from mistralrs_cli.terminal.markdown import MarkdownView, finished
from mistralrs_cli.terminal.plain import PlainView, Thoughts
from mistralrs_cli.terminal.region import Region
from mistralrs_cli.terminal.rendered import RenderedView

from .screen import Screen
from .streams import Stream, console_on

ANSWER = """# Two houses

The **first** has a *red* door and `3` windows, and <b>nothing</b> else that
would be worth a [word](https://example.org/a?b=c).

- a garden
  - with trees
- a fence that is so long that it will have to be broken between words on narrow terminals

1. one
2. two

| part | colour and whatever else there is to say about it |
|------|------|
| door | red |
| roof | averyverylongwordthatmustbefoldedbecauseitdoesnotfitanywhere |

```python
def area(width, height):
    return width * height  # a comment that is longer than forty columns are
```

> A quotation
> of two lines.

The end, with ünïcödé and 漢字.
"""


@pytest.fixture(autouse=True)
def draw_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece is drawn, so that nothing depends on the time."""
    monkeypatch.setattr(markdown, "INTERVAL", 0.0)
    monkeypatch.setattr(markdown, "SHARE", 0)
    monkeypatch.delenv("NO_COLOR", raising=False)


def view_on(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> MarkdownView:
    monkeypatch.setattr(Region, "size", property(lambda region: (screen.columns, screen.rows)))
    return MarkdownView(screen)


def pieces(text: str, seed: int) -> Iterator[str]:
    """Text in pieces as tokens come."""
    chance = random.Random(seed)
    while text:
        size = chance.choice((1, 2, 4, 8, 13, 21))
        yield text[:size]
        text = text[size:]


def shown(text: str, columns: int, rows: int, monkeypatch: pytest.MonkeyPatch, seed: int | None = None) -> list[str]:
    """What stands on a screen after the text was streamed, or written at once."""
    screen = Screen(columns, rows)
    view = view_on(screen, monkeypatch)
    for piece in [text] if seed is None else pieces(text, seed):
        view.push(piece)
    view.close()
    return screen.text


@pytest.mark.parametrize(("columns", "seed"), [(80, 1), (40, 2)])
def test_streamed_equals_written_at_once(columns: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shown(ANSWER, columns, 200, monkeypatch)
    assert shown(ANSWER, columns, 200, monkeypatch, seed) == whole
    assert shown(ANSWER, columns, 10, monkeypatch, seed) == whole


def test_every_word_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(shown(ANSWER, 80, 50, monkeypatch))
    for words in ("Two houses", "<b>nothing</b>", "https://example.org/a?b=c", "return width * height", "漢字", "• "):
        assert words in text
    assert "**" not in text
    folded = "".join("".join(shown(ANSWER, 40, 50, monkeypatch)).split())
    assert all(part in folded for part in ("averyverylong", "fitanywhere", "#acommentthatislongerthanfortycolumnsare"))


def test_lines_end_where_the_text_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown("roses\nviolets", 80, 24, monkeypatch)[:2] == ["roses", "violets"]


def test_a_block_longer_than_the_screen_scrolls_away_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "```\n" + "".join(f"line {number}\n" for number in range(20)) + "```\n"
    expected = ["```", *(f"line {number}" for number in range(20)), "```"]
    assert [line for line in shown(code, 40, 8, monkeypatch, 1) if line] == expected
    table = "| n |\n|---|\n" + "".join(f"| cell {number} |\n" for number in range(20))
    cells = [line.strip() for line in shown(table, 40, 8, monkeypatch, 1) if "cell" in line]
    assert cells == [f"cell {number}" for number in range(20)]


FORMULAS = r"""Words \( a_b \), \[ x_1 * y_2 * z \], $a_i*b_j*c$ and $$d_e*f*$$ cost $5 or *$10*.

\[
a_b
- c_d * e
\]

$$
\frac{a}{b} \\
+ c
$$

\begin{align}
a &= b \\
- c &= d
\end{align}

- an item \( p*q*r \)

Open \( without *end*.
"""


@pytest.mark.parametrize("seed", [None, 1])
def test_formulas_are_as_they_are(seed: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(FORMULAS, 90, 50, monkeypatch, seed)
    expected = FORMULAS.replace("*$10*", "$10").replace("*end*", "end").replace("- an", " • an").splitlines()
    assert lines == [*expected, ""]


def test_one_empty_line_stands_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [
        "# One",
        "two",
        "- three",
        "1. four",
        "```\nfive\n\n\nsix\n```",
        "| a |\n|---|\n| b |",
        "> seven",
        "---",
        "end",
    ]
    for text in ("\n\n".join(parts), "\n\n\n\n".join(parts)):
        lines = shown(text, 20, 50, monkeypatch)
        assert [line.strip() for line in lines] == [
            *("One", "", "two", "", "• three", "", "1 four", "", "```", "five", "", "", "six", "```", ""),
            *("a", "─", "b", "", "▌ seven", "", "─" * 19, "", "end", ""),
        ]


def test_nothing_of_a_link_or_picture_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "See ![a map](https://x.org/m.png) and [this][1].\n\n[1]: https://x.org\n"
    assert [line for line in shown(text, 80, 50, monkeypatch, 1) if line] == [
        "See !a map (https://x.org/m.png) and [this][1].",
        "[1]: https://x.org",
    ]


TABLE = "| n | name |\n|---|---|\n" + "".join(f"| {n} | name {n * 7919 % 1000} |\n" for n in range(60))


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (30, 5)])
def test_a_tall_table_is_written_once(columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(columns, rows)
    view = view_on(screen, monkeypatch)
    text = f"Some words.\n\n{TABLE}\nThe end."
    for start in range(0, len(text), 23):
        view.push(text[start : start + 23])
    view.close()
    cells = [line.split() for line in screen.text if line]
    assert cells[:2] == [["Some", "words."], ["n", "name"]]
    assert cells[3:-1] == [[str(n), "name", str(n * 7919 % 1000)] for n in range(60)]
    assert screen.erased < 20 * 60


def test_a_tall_table_on_a_terminal_that_becomes_narrower(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(60, 10)
    view = view_on(screen, monkeypatch)
    view.push("| n | one | two |\n|---|---|---|\n" + "".join(f"| r{n} | a | b |\n" for n in range(20)))
    for columns, first in ((30, 20), (12, 30)):  # on twelve the cells have to be named
        screen.columns = columns
        view.push("".join(f"| r{n} | a | b |\n" for n in range(first, first + 10)))
    view.close()
    assert re.findall(r"r(\d+)", "\n".join(screen.text)) == [str(n) for n in range(40)]


@pytest.mark.parametrize("rows", [200, 8])
def test_a_table_with_too_many_columns_names_them_in_each_row(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"column {n}" for n in range(12)]
    table = f"| {' | '.join(names)} |\n|{'---|' * 12}\n"
    table += "".join(f"| {' | '.join(f'{row}.{n}' for n in range(12))} |\n" for row in range(3))
    lines = [line for line in shown(table, 40, rows, monkeypatch, 1) if line]
    assert lines == [
        line for row in range(3) for line in ("─" * 39, *(f"{name}: {row}.{n}" for n, name in enumerate(names)))
    ]


def test_a_table_inside_another_block_has_no_empty_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "> | q | r |\n> |---|---|\n> | 1 | 2 |\n\n- b\n  | t | u |\n  |---|---|\n  | 1 | 2 |\n"
    lines = shown(text, 40, 50, monkeypatch, 1)
    assert lines == ["▌ q  r", "▌ ────", "▌ 1  2", "", " • b", "   t  u", "   ────", "   1  2", ""]


def test_two_blocks_scroll_away_together(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(40, 8)
    view = view_on(screen, monkeypatch)
    words = "".join(f"word{n} " for n in range(100))
    view.push(f"First.\n\n{words}")  # the first ends when the second has a line end
    view.push("last.\nThen.")
    view.close()
    assert screen.text == shown(f"First.\n\n{words}last.\nThen.", 40, 100, monkeypatch)


def test_a_list_keeps_its_place_when_numbers_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(40, 8)
    view = view_on(screen, monkeypatch)
    items = [f"{n}. item {'of several words ' * 3}\n" for n in range(92, 103)]
    for item in items:
        view.push(item)
    view.close()
    assert screen.text == shown("".join(items), 40, 100, monkeypatch)


def test_a_smaller_screen_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(60, 24)
    view = view_on(screen, monkeypatch)
    view.push("```\n" + "".join(f"line {n}\n" for n in range(18)))
    screen.shrink(10)
    view.push("more\n```\n")
    view.close()
    assert [line for line in screen.text if line] == ["```", *(f"line {n}" for n in range(18)), "more", "```"]


def test_only_what_changes_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(80, 24)
    view = view_on(screen, monkeypatch)
    for word in ["word "] * 200:
        view.push(word)
    view.close()
    assert screen.erased < 3 * 200  # lines, for two hundred words: the last one each time, not all of them


def test_finished_blocks_are_let_go() -> None:
    assert finished("one\n\ntwo") == 0
    assert finished("one\n\ntwo\n") == len("one\n\n")
    assert finished("```\none\n\ntwo\n") == 0


def test_a_terminal_that_becomes_narrower(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(60, 24)
    view = view_on(screen, monkeypatch)
    view.push("first\n\nsome words that fill more than thirty columns surely")
    screen.columns = 30
    screen.lines = ["first", "", "some words that fill more than", " thirty columns surely", ""]  # as terminals do it
    screen.row = 4
    view.push(" and more")
    view.close()
    assert [line for line in screen.text if line] == [
        "first",
        "some words that fill more",
        "than thirty columns surely",
        "and more",
    ]


@pytest.mark.parametrize(
    ("thoughts", "expected"),
    [
        ("fold", ["│ thought for", "Yes."]),
        ("show", ["│ hm", "│ well", "", "Yes."]),
        ("hide", ["Yes."]),
    ],
)
def test_thoughts_are_folded_shown_or_hidden(
    thoughts: Thoughts, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    console = console_on(Stream(terminal=True), Stream(terminal=True), monkeypatch)
    screen = Screen(80, 24)
    console.stdout = screen
    view = RenderedView(console, thoughts)
    for event in (ReasoningDelta("hm"), ReasoningDelta("\nwell"), TextDelta("Yes."), TextDelta("")):
        view.show(event)
    view.close()
    lines = [line for line in screen.text if line or thoughts == "show"]
    assert [line[: len(part)] for line, part in zip(lines, expected, strict=False)] == expected


def test_control_characters_of_a_model_reach_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    console = console_on(Stream(terminal=True), Stream(terminal=True), monkeypatch)
    console.stdout = screen = Screen(80, 24)
    view = RenderedView(console)
    view.show(TextDelta("a\x1b]0;title\x07b \x1b[2Jc"))
    view.close()
    assert screen.text[0] == "a]0;titleb [2Jc"


def test_plain_answers_are_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Stream(), Stream(terminal=True)
    view = PlainView(console_on(out, err, monkeypatch), named=True)
    for event in (ReasoningDelta("hm"), TextDelta("**Yes.**"), TextDelta(" No.")):
        view.show(event)
    view.close()
    assert out.getvalue() == "**Yes.** No.\n"
    assert [part for part in ("the model thinks:", "hm", "the model answers:") if part not in err.getvalue()] == []
    assert isinstance(view.console, Console)
