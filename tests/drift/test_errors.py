"""The error tree is drawn in the docstring of ``errors.py``, and the drawing is true."""

import re

from mistralrs_cli import errors
from mistralrs_cli.errors import MistralrsError

LINE = re.compile(r"^    (?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: +exit (?P<exit>\d+))?(?: +HTTP (?P<http>\d+))?$")


def drawn() -> dict[str, tuple[str | None, int, int]]:
    """Name → parent, exit code and HTTP status; a code that is not written is the parent's."""
    tree: dict[str, tuple[str | None, int, int]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := LINE.match(line):
            depth = len(match["branch"]) // 4
            parent = above[depth - 1] if depth else None
            inherited = tree[parent][1:] if parent else (1, 500)
            codes = int(match["exit"] or inherited[0]), int(match["http"] or inherited[1])
            tree[match["name"]] = (parent, *codes)
            above[depth:] = [match["name"]]
    return tree


def family(base: type[MistralrsError]) -> list[type[MistralrsError]]:
    """A class of the tree and every class below it."""
    return [base, *(error for child in base.__subclasses__() for error in family(child))]


def test_the_drawing_shows_every_error_with_its_codes() -> None:
    real = {
        error.__name__: (
            error.__base__.__name__ if error is not MistralrsError else None,
            error.exit_code,
            error.http_status,
        )
        for error in family(MistralrsError)
        if error.__module__ == errors.__name__ and error.__base__
    }
    assert drawn() == real


def test_every_error_lives_in_the_tree() -> None:
    assert {error.__module__ for error in family(MistralrsError)} == {errors.__name__}


def test_every_error_says_what_it_stands_for() -> None:
    assert [error.__name__ for error in family(MistralrsError) if not error.__doc__] == []
