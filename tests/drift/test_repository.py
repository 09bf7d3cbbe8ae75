"""What is in the repository, and what a package brings."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.drift.source import PACKAGE, ROOT, imports, modules, tracked

MEGABYTE = 2**20
BINARY = {".png", ".jpg", ".gif", ".wav", ".mp3", ".flac", ".ogg", ".m4a", ".safetensors"} | {
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
}


def normalized(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        normalized(re.split(r"[^\w.-]", line)[0])
        for extra in ([], *(project["optional-dependencies"][name] for name in ("otel", "parquet", "ray")))
        for line in [*project["dependencies"], *extra]
    }
    homes = packages_distributions()
    used = {name.split(".")[0] for path in modules() for name in imports(path)} - sys.stdlib_module_names
    used -= {PACKAGE.name, "mistralrs"}
    assert {name for name in used if not {normalized(home) for home in homes.get(name, [name])} & declared} == set()


def test_the_lock_file_is_of_these_dependencies() -> None:
    """``uv.lock`` is what ``uv lock`` makes of pyproject.toml, from the public index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    wanted = {(normalized(one.name), one.specifier) for one in map(Requirement, lines)}
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    (own,) = (one for one in tomllib.loads(text)["package"] if one["name"] == "mistralrs")
    locked = {(one["name"], SpecifierSet(one["specifier"])) for one in own["metadata"]["requires-dist"]}
    assert locked == wanted, "run: uv lock"
    assert set(re.findall(r"https?://([^/\"]+)", text)) == {"pypi.org", "files.pythonhosted.org"}


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    places = [str(ROOT), *("/".join(("", name, "")) for name in ("work", "root"))]
    found = {
        f"{path.relative_to(ROOT)}: {place}"
        for path in tracked()
        if path.suffix not in BINARY
        for place in places
        if re.search(rf"(?<![\w.~-]){re.escape(place)}", path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_the_demo_model_is_small() -> None:
    files = [path for path in (PACKAGE / "demo").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 30 * MEGABYTE


def test_the_samples_are_small() -> None:
    files = [path for path in tracked() if Path("examples/media") in path.relative_to(ROOT).parents]
    assert sum(path.stat().st_size for path in files) <= MEGABYTE
