"""The package's source as the drift tests read it."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mistralrs_cli"


def modules() -> list[Path]:
    """Every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def label(path: Path) -> str:
    """``mistralrs_cli/media/image.py`` → ``media/image.py``, for messages and test ids."""
    return str(path.relative_to(PACKAGE))


def imports(path: Path) -> Iterator[str]:
    """Absolute dotted names of everything a file imports, at any depth, also for type checkers only."""
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the repository; those of the folder where there is no git (a source archive)."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0:
        return tuple(ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file())
    return tuple(path for path in ROOT.rglob("*") if path.is_file() and path.relative_to(ROOT).parts[0] != ".venv")
