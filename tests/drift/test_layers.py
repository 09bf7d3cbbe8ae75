"""Dependencies point down only: the picture in docs/architecture.md, read from the import statements."""

import re
import sys
from pathlib import Path

import pytest

from tests.drift.source import PACKAGE, imports, label, modules

LEAVES = {"errors", "messages", "events", "named_files", "options", "resources", "sizes", "wording"}
BELOW = {
    "media": LEAVES,
    "families": LEAVES | {"media"},
    "loading": LEAVES | {"media", "families"},
    "constraint": LEAVES,
    "engine": LEAVES | {"media", "families", "loading", "constraint"},
    "protocol": LEAVES,
    "conversation": LEAVES,
    "terminal": LEAVES | {"media"},
}
CORE = LEAVES | {"media", "families", "loading", "constraint", "engine", "conversation"}
FACES = {
    "cli": CORE | {"terminal"},
    "repl": CORE | {"terminal"},
    "server": CORE | {"protocol"},
    "sdk": CORE | {"protocol"},
}
ALLOWED = dict.fromkeys(LEAVES, LEAVES) | BELOW | FACES | {"__init__": set(), "__main__": {"cli"}}
DOORS = {("cli/run.py", "repl"), ("cli/serve.py", "server")}  # `run` starts the chat, `serve` starts the app


def part(path: Path) -> str:
    """The layer a file belongs to: its folder in the package, or its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=label)
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    own = part(path)
    assert own in ALLOWED, f"{own} is not in the picture: give it a place in docs/architecture.md and here"
    for name in imports(path):
        top, *rest = name.split(".")
        if top == PACKAGE.name and rest and rest[0] != "__version__":
            wanted = rest[0]
            assert wanted == own or wanted in ALLOWED[own] or (label(path), wanted) in DOORS, f"{own} imports {name}"


@pytest.mark.parametrize("leaf", sorted(LEAVES | {"__init__"}))
def test_leaf_values_need_the_standard_library_only(leaf: str) -> None:
    outside = {name.split(".")[0] for name in imports(PACKAGE / f"{leaf}.py")} - sys.stdlib_module_names
    assert outside <= {PACKAGE.name}


@pytest.mark.parametrize("path", modules(), ids=label)
def test_model_types_are_told_apart_in_families_only(path: Path) -> None:
    if part(path) != "families":
        assert not re.search(r"model_type[\"'\])]*\s*(==|!=|in\b)", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", modules(), ids=label)
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler"}
