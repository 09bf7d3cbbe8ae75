"""``mistralrs`` re-exports and does nothing else; every ``__all__`` is true."""

import ast
import importlib
from pathlib import Path

import pytest

from mistralrs_cli.loading.torchvision import ensure_importable
from tests.drift.source import PACKAGE, ROOT, label, modules

pytestmark = pytest.mark.slow


def names_in_all(path: Path) -> list[str]:
    """The literal ``__all__`` of a file, empty where there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            value = ast.literal_eval(node.value)
            assert isinstance(value, (list, tuple))
            return list(value)
    return []


def test_the_import_name_only_re_exports() -> None:
    tree = ast.parse((ROOT / "mistralrs" / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    for node in tree.body[1:]:
        if isinstance(node, ast.ImportFrom):
            assert node.module in (PACKAGE.name, f"{PACKAGE.name}.sdk")
        else:
            assert isinstance(node, ast.Assign | ast.AugAssign)
            assert ast.unparse(node).startswith("__all__")


def test_the_import_name_has_everything_it_announces() -> None:
    import mistralrs
    from mistralrs_cli import sdk

    assert sorted(mistralrs.__all__) == sorted({"__version__", *sdk.__all__})
    assert [name for name in mistralrs.__all__ if not hasattr(mistralrs, name)] == []


def test_every_all_is_true() -> None:
    ensure_importable()  # as loading does before it needs transformers' models
    wrong = []
    for path in modules():
        if names := names_in_all(path):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            module = importlib.import_module(dotted)
            wrong += [f"{label(path)}: {name} twice" for name in set(names) if names.count(name) > 1]
            wrong += [f"{label(path)}: {name} is missing" for name in names if not hasattr(module, name)]
    assert wrong == []
