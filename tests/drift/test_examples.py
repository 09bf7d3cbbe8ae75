"""Every example in the Markdown pages prints what the page says."""

import pytest

from tests.drift.examples import Example, agree, examples, pages, read, run
from tests.drift.source import ROOT

ALL = [
    pytest.param(example, id=f"{page.relative_to(ROOT)}: {example.command}")
    for page in pages()
    for example in examples(page)
]


@pytest.mark.parametrize("example", ALL)
def test_the_page_is_true(example: Example) -> None:
    assert example.output, "not filled in yet: make examples"
    actual = run(example.command)
    if not agree(example.output, actual):
        assert actual == example.output


def test_a_block_is_read_command_by_command() -> None:
    block = "$ first \\\n    --more\none\ntwo\n$ second\n$ third\nthree\n"
    assert list(read(block)) == [
        Example("first \\\n    --more", "one\ntwo"),
        Example("second", ""),
        Example("third", "three"),
    ]


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a red circle", "a red circle", True),
        ("a red circle", "a red square", False),
        ('"total": …,', '"total": 0.41,', True),
        ("took … s", "took 1 s\nmore", False),
        ("", "", True),
    ],
)
def test_an_ellipsis_stands_for_what_changes(expected: str, actual: str, same: bool) -> None:
    assert agree(expected, actual) is same
