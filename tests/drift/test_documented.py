"""The documents say what is there, and nothing that is not."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.drift.source import PACKAGE, ROOT, tracked

PAGE = ROOT / "docs" / "cli.md"
PAGES = [path for path in tracked() if path.suffix == ".md"]


@cache
def commands() -> dict[str, Any]:
    """The command line as Typer built it: ``""`` is ``mistralrs`` itself, then ``run``, ``cache``, ``cache list``, …"""
    import typer

    from mistralrs_cli.cli.commands import app

    return dict(within("", typer.main.get_command(app)))


def within(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command and all below it, each by its full name."""
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from within(f"{name} {word}".strip(), below)


def options(command: Any) -> Iterator[str]:
    """Every spelling of every option of one command."""
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            yield from (*parameter.opts, *parameter.secondary_opts)


def test_every_command_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    visible = [name for name, command in commands().items() if name and not command.hidden]
    assert [name for name in visible if f"mistralrs {name}" not in text] == []


def test_every_option_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    real = {option for command in commands().values() for option in options(command)}
    assert sorted(option for option in real if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text)) == []


def test_every_documented_option_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    real = {option for command in commands().values() for option in options(command)} | {"--help"}
    assert sorted(set(re.findall(r"(?<![\w-])--[a-z][\w-]+", text)) - real) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [str(path.relative_to(ROOT)) for path in PAGES if path.parent == ROOT / "docs"]
    assert [page for page in pages if f"]({page}" not in text] == []


def test_the_house_plan_names_every_part_and_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    parts = [path for path in PACKAGE.iterdir() if path.suffix == ".py" or list(path.glob("*.py"))]
    assert [path.name for path in parts if not path.name.startswith("_") and path.stem not in text] == []
    named = set(re.findall(r"`((?:mistralrs_cli|mistralrs|tests|tools|docs|examples)/[\w./]+)`", text))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
