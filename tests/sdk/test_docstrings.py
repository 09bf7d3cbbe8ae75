"""Every public name has a docstring with an example, and the examples are true."""

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import mistralrs
from mistralrs import Runner
from mistralrs_cli import wording
from tests.drift.source import PACKAGE

pytestmark = pytest.mark.slow

NAMES = [name for name in mistralrs.__all__ if name != "__version__"]
MODULES = [importlib.import_module(f"mistralrs_cli.sdk.{path.stem}") for path in (PACKAGE / "sdk").glob("[a-z]*.py")]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_shows_how_it_is_used(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(mistralrs, name)) or "")


@pytest.mark.parametrize("name", NAMES)
def test_all_that_it_can_do_is_described(name: str) -> None:
    public = vars(getattr(mistralrs, name)).items()
    said = {each: value for each, value in public if callable(value) or isinstance(value, (property, classmethod))}
    assert [each for each, value in said.items() if not each.startswith("_") and not inspect.getdoc(value)] == []


def examples() -> list[doctest.DocTest]:
    """All examples of the SDK, and those of other modules that it hands on."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in (*MODULES, wording) for test in finder.find(module)]
    found += finder.find(mistralrs.MediaPolicy, "MediaPolicy")
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_the_examples_are_true(
    example: doctest.DocTest, runner: Runner, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(samples)
    names: dict[str, Any] = {name: getattr(mistralrs, name) for name in NAMES}
    example.globs.update(names | {"runner": runner})
    said: list[str] = []
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append).failed == 0, "".join(said)


def test_there_are_examples() -> None:
    assert len(examples()) > 25
