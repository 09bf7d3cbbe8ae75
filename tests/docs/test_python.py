"""Every Python block of the pages runs as it stands, one after the other, with a small model and local media."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import mistralrs
from mistralrs import Runner, Which
from mistralrs_cli.engine import Engine
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.options import ModelOptions, ServerOptions
from tests.drift.source import ROOT, tracked
from tests.server.conftest import serving

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"README.md", "docs/getting-started.md", "docs/from-mistral-rs.md", "docs/sdk.md", "docs/server.md"}
SHOWN = {"CONTRIBUTING.md"}  # the file of a family that nobody has
MEDIA = {"photo.jpg": "photo.jpg", "chart.png": "chart.png", "commentary.wav": "commentary.wav", "clip.mp4": "clip.mp4"}


def blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.fixture
def here(tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages name, as the working folder."""
    for name, sample in MEDIA.items():
        shutil.copy(samples / sample, tmp_path / name)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def localized(code: str, here: Path, address: str) -> str:
    """The code with files that are here and a server that runs; nothing else is changed."""
    code = re.sub(r"file:///(?:absolute/path/|path/to/)?([\w.]+)", lambda found: f"file://{here / found[1]}", code)
    return code.replace("http://localhost:1234", address)


class SmallRunner(Runner):
    """The model that a page names is the demo model here."""

    def __init__(self, which: Any, *args: Any, **more: Any) -> None:
        more.pop("in_situ_quant", None)
        demo = Which.MultimodalPlain("demo")
        super().__init__(dict.fromkeys(which, demo) if isinstance(which, dict) else demo, *args, cpu=True, **more)


def test_the_page_on_python(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One program made of all blocks in order."""
    monkeypatch.setattr(mistralrs, "Runner", SmallRunner)
    names: dict[str, Any] = {}
    found = blocks("docs/sdk.md")
    assert len(found) > 8
    exec(localized(found[0], here, ""), names)
    runner: Runner = names["runner"]
    try:
        with serving(runner._engine, ServerOptions(port=0)) as server:
            for code in found[1:]:
                capsys.readouterr()
                exec(localized(code, here, server.url), names)
                assert "print(" not in code or capsys.readouterr().out.strip(), code
    finally:
        runner.close()
    assert '"colour"' in str(names["request"].grammar)


def test_the_page_for_who_comes_from_mistral_rs(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mistralrs, "Runner", SmallRunner)
    (code,) = blocks("docs/from-mistral-rs.md")
    names: dict[str, Any] = {}
    exec(code, names)
    names["runner"].close()
    said, rates = capsys.readouterr().out.rstrip("\n").rsplit("\n", 1)
    assert said.strip()
    assert all(float(rate) > 0 for rate in rates.split())


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
def test_the_pages_that_ask_once(
    page: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mistralrs, "Runner", SmallRunner)
    (code,) = blocks(page)
    exec(code, {})
    assert capsys.readouterr().out.strip()


def test_the_page_on_the_server(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, names = ModelOptions(cpu=True), dict[str, Any]()
    chosen = ServerOptions(port=0, batch_folder=str(here / "batches"))
    with Engine(load(open_checkpoint(options), options)) as engine, serving(engine, chosen) as server:
        for code in blocks("docs/server.md"):
            exec(localized(code, here, server.url), names)
            assert capsys.readouterr().out.strip()


def test_every_block_is_run_here() -> None:
    pages = [path for path in tracked() if path.suffix == ".md" and BLOCK.search(path.read_text(encoding="utf-8"))]
    assert {str(path.relative_to(ROOT)) for path in pages} == RUN | SHOWN
