"""Modules that are executed when something of them is asked for."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.loading import deferred
from mistralrs_cli.loading.compat import remembering

PACKAGE = """
import late_outer
late_outer.executed.append("package")
from . import part
value = 7

def mark(function):
    function.marked = True
    return function

def double(function, times=2):
    return lambda *given: times * function(*given)
"""
PART = """
import late_outer
late_outer.executed.append("part")
"""


@pytest.fixture
def outer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package whose subpackage ``late`` notes when it is executed, and is deferred."""
    inner = tmp_path / "late_outer" / "late"
    inner.mkdir(parents=True)
    (inner.parent / "__init__.py").write_text("executed = []\n")
    (inner / "__init__.py").write_text(PACKAGE)
    (inner / "part.py").write_text(PART)
    (inner / "other.py").write_text(PART.replace('"part"', '"other"'))
    monkeypatch.syspath_prepend(str(tmp_path))
    finders = list(sys.meta_path)
    package = importlib.import_module("late_outer")
    deferred.defer(
        package.__path__, "late_outer.late", marks=("mark",), wrappers=("double",), alone=("late_outer.late.other",)
    )
    yield package
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.partition(".")[0] == "late_outer"]:
        del sys.modules[name]


def test_importing_does_not_execute(outer: Any) -> None:
    late: Any = importlib.import_module("late_outer.late")
    assert outer.late is late
    assert not hasattr(late, "__wrapped__")  # as inspect asks
    assert outer.executed == []
    assert late.value == 7
    assert outer.executed == ["package", "part"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = late.nothing


def test_a_submodule_is_imported_once_and_after_its_package(outer: Any) -> None:
    part = importlib.import_module("late_outer.late.part")
    assert outer.executed == ["package", "part"]
    assert part is outer.late.part is sys.modules["late_outer.late.part"]
    assert part.__spec__ is not None
    assert part.__spec__.loader is part.__loader__


def test_a_submodule_that_stands_alone(outer: Any) -> None:
    other = importlib.import_module("late_outer.late.other")
    assert outer.executed == ["other"]
    assert outer.late.other is other


def test_decorators_are_applied_once_it_is_executed(outer: Any) -> None:
    late: Any = importlib.import_module("late_outer.late")

    kept = late.double

    def one() -> int:
        return 1

    first, second = late.mark(one), late.double(times=3)(one)

    assert (outer.executed, hasattr(first, "marked"), second()) == ([], False, 1)
    assert late.value == 7
    assert (vars(first)["marked"], second(), kept(first)()) == (True, 3, 2)


def test_a_class_is_decorated_at_once(outer: Any) -> None:
    """A function in its place would be no class."""

    class Counted:
        pass

    late: Any = importlib.import_module("late_outer.late")
    assert late.mark(Counted) is Counted
    assert outer.executed == []
    late.double(Counted)
    assert outer.executed == ["package", "part"]


def test_what_cannot_be_executed_is_tried_again(outer: Any) -> None:
    late: Any = importlib.import_module("late_outer.late")
    file = Path(late.__file__)
    file.write_text('raise OSError("broken")\n')
    with pytest.raises(OSError, match="broken"):
        _ = late.value
    file.write_text(PACKAGE + "# longer, so that it is compiled again\n")
    assert late.value == 7


def test_a_folder_is_read_once(tmp_path: Path) -> None:
    read: list[str] = []
    once = remembering(lambda path: read.append(path) or len(read))  # type: ignore[func-returns-value]
    (tmp_path / "file.py").touch()
    assert [once(tmp_path), once(str(tmp_path)), once(str(tmp_path / "file.py"))] == [1, 1, 1]
    assert read == [str(tmp_path)]
