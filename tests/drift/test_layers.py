"""The rules of the house that are read from the source: layers, the standard library, ``model_type``, names."""

import re
import sys

import pytest
from importlinter.cli import lint_imports

from tests.drift.source import PACKAGE, ROOT, imports, label, modules

LEAVES = ("__init__", "errors", "events", "messages", "named_files", "options", "resources", "sizes", "wording")
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler"}


def test_the_import_contracts_hold(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The contracts of ``[tool.importlinter]`` in pyproject.toml, which ``make lint`` checks as well."""
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)  # it would turn off every logger there is
    monkeypatch.syspath_prepend(ROOT)  # it leaves the current folder there
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert code == 0, capsys.readouterr().out


def test_leaf_values_need_the_standard_library_only() -> None:
    allowed = {PACKAGE.name, *sys.stdlib_module_names}
    outside = {f"{leaf}: {name}" for leaf in LEAVES for name in imports(PACKAGE / f"{leaf}.py")}
    assert {entry for entry in outside if entry.split(": ")[1].split(".")[0] not in allowed} == set()


def test_model_types_are_told_apart_in_families_only() -> None:
    outside = [path for path in modules() if path.relative_to(PACKAGE).parts[0] != "families"]
    comparing = re.compile(r"model_type[\"'\])]*\s*(==|!=|in\b)")
    assert [label(path) for path in outside if comparing.search(path.read_text(encoding="utf-8"))] == []


def test_a_module_is_named_after_what_it_holds() -> None:
    assert [label(path) for path in modules() if path.stem in EMPTY_NAMES] == []


PRIVATE_WORDS = {"anew", "hushed", "lane", "lanes", "mend", "mended", "midst", "nobody", "spared", "whoever", "wish"}
PRIVATE_WORDS |= {"let go of", "lets go of", "lively", "talkative"}
"""Words that stood for something only here. Say it in the terms of the field, or in plain words."""


def test_names_comments_and_messages_use_no_private_words() -> None:
    word = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(sorted(PRIVATE_WORDS))})(?![A-Za-z])", re.IGNORECASE)
    found = []
    for path in modules():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", line)  # DecodeLane holds the word, planes do not
            found += [f"{label(path)}:{number}: {match[0]}" for match in word.finditer(parts)]
    assert found == []


SYNONYMS = {"cli/checkup.py", "cli/synonyms.py", "grounding/mentions.py", "media/ffmpeg.py", "repl/aliases.py"}
"""Files with words that a user or a model may use for a medium, with ffmpeg's own, and with a question to a model."""


def test_media_are_called_image_audio_and_video() -> None:
    word = re.compile(r"(?<![A-Za-z])(?:pictures?|sounds)(?![A-Za-z])", re.IGNORECASE)
    paths = [path for path in modules() if path.relative_to(PACKAGE).as_posix() not in SYNONYMS]
    assert len(paths) > 100
    assert [label(path) for path in paths if word.search(path.read_text(encoding="utf-8"))] == []
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("description") and word.search(line)] == []


def test_no_test_replaces_a_module() -> None:
    """What a test stands in for is handed over as an argument, or one attribute is patched."""
    replacing = re.compile(
        r"setitem\(\s*sys\.modules|sys\.modules\[[^\]]+\]\s*=(?!=)|patch\.dict\(\s*[\"']?sys\.modules"
    )
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "test_layers.py"]
    assert [str(path.relative_to(ROOT)) for path in files if replacing.search(path.read_text(encoding="utf-8"))] == []
