"""What is installed is what is in the repository: the wheel is built, unpacked, and used from another folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from tests.drift.source import PACKAGE, ROOT, tracked

pytestmark = pytest.mark.slow

PACKAGES = ("mistralrs", PACKAGE.name)
SHARED = ("chat_templates", "matformer_configs")
"""Folders of the repository that lie inside the package once it is installed."""

FROM_INSIDE = """
import json
from mistralrs import Runner, Which
from mistralrs_cli.loading import open_checkpoint
from mistralrs_cli.loading.matformer import read_table
from mistralrs_cli.loading.template import read_template
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.resources import DEMO_CHECKPOINT, PACKAGE, bundled_folder, bundled_names

print(json.dumps({
    "places": [str(place) for place in (PACKAGE, DEMO_CHECKPOINT, *map(bundled_folder, %r))],
    "templates": [name for name in bundled_names("chat_templates") if read_template(name)],
    "slices": len(read_table("gemma3n.csv")),
    "demo": open_checkpoint(ModelOptions()).family.name,
    "runner": Runner.__module__,
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    """The wheel, built by the project's own build system."""
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    built = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    with ZipFile(file) as archive:
        yield archive


@pytest.fixture(scope="module")
def unpacked(wheel: ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files as they are once installed."""
    folder = tmp_path_factory.mktemp("installed").resolve()
    wheel.extractall(folder)
    return folder


def python(unpacked: Path, *words: str) -> str:
    """What the installed package prints, asked from its own folder of files, with the repository out of sight."""
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    command = [sys.executable, "-W", "error", *words]
    done = subprocess.run(command, cwd=unpacked.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed(path: Path) -> str | None:
    """Where a file of the repository is once it is installed, if it is."""
    relative = path.relative_to(ROOT)
    top = relative.parts[0]
    if "__pycache__" in relative.parts or top not in (*PACKAGES, *SHARED):
        return None
    return str(PurePosixPath(*(() if top in PACKAGES else (PACKAGE.name,)), *relative.parts))


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel: ZipFile) -> None:
    names = set(wheel.namelist())
    assert {place for path in tracked() if (place := installed(path))} - names == set()
    beside = {name.partition("/")[0] for name in names} - set(PACKAGES)
    assert [name.rpartition(".")[2] for name in beside] == ["dist-info"]
    assert {f"{PACKAGE.name}/demo/model.safetensors", f"{PACKAGE.name}/py.typed", "mistralrs/py.typed"} <= names


def test_what_ships_is_found_from_another_folder(unpacked: Path) -> None:
    found = json.loads(python(unpacked, "-c", FROM_INSIDE % (SHARED,)))
    inside = unpacked / PACKAGE.name
    assert found == {
        "places": [str(inside), str(inside / "demo"), *(str(inside / name) for name in SHARED)],
        "templates": sorted(path.name for path in (ROOT / "chat_templates").iterdir()),
        "slices": 16,
        "demo": "Gemma 4",
        "runner": f"{PACKAGE.name}.sdk.runner",
    }


def test_the_program_starts(wheel: ZipFile, unpacked: Path) -> None:
    assert "Usage: mistralrs" in python(unpacked, "-m", PACKAGE.name, "--help")
    (points,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert f"mistralrs = {PACKAGE.name}.cli.app:entry" in wheel.read(points).decode().splitlines()
