"""Every example in the Markdown pages prints what the page says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drift.examples import Example, agree, examples, pages, read, run, warm
from tests.drift.source import ROOT

pytestmark = pytest.mark.slow

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


def test_a_command_that_starts_quickly_is_like_any_other() -> None:
    script = """
        cd examples/media
        COLUMNS=60 mistralrs run --help; echo "exit code $?"
        mistralrs run --no-such 2>&1 | cat; echo "exit code ${PIPESTATUS[0]}"
        mistralrs run --dry-run --video no_such.mp4 -i x 2>&1; echo "exit code $?"
        mistralrs --version > /dev/full; echo "exit code $?"
    """
    quick, own = (
        subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env={**os.environ, "PATH": os.pathsep.join((str(folder), os.environ["PATH"]))},
            capture_output=True,
            text=True,
        )
        for folder in (warm().folder, Path(sys.executable).parent)
    )
    assert (quick.stdout, quick.stderr) == (own.stdout, own.stderr)
    assert own.stdout.count("exit code 0") == 1
