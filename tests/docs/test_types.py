"""The examples and every Python block of the pages pass mypy in its strict mode: what a type checker shows is true."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_python import RUN, blocks
from tests.drift.source import ROOT

pytestmark = pytest.mark.slow

CONFIG = f"""
[mypy]
strict = true
python_version = 3.11
mypy_path = {ROOT}
explicit_package_bases = true
namespace_packages = true
cache_dir = {ROOT / ".mypy_cache" / "pages"}

# Below what a program sees; reading it all would take minutes.
[mypy-torch.*,transformers.*,mistralrs_cli.engine.*,mistralrs_cli.loading.*,mistralrs_cli.families.*]
follow_imports = skip
[mypy-imageio_ffmpeg.*,soundfile.*,soxr.*]
ignore_missing_imports = true
"""
PROGRAM = """
from typing import assert_type
from mistralrs import AsyncRunner, ChatCompletionRequest, ChatCompletionResponse, Chunks, Runner

runner, remote, asking = Runner("demo"), Runner.connect("http://localhost:1234"), AsyncRunner("demo")


async def main(stream: bool) -> None:
    for each in (runner, remote):
        assert_type(each.send_chat_completion_request(ChatCompletionRequest("Hello")), ChatCompletionResponse)
        assert_type(each.send_chat_completion_request(ChatCompletionRequest("Hello", stream=True)), Chunks)
        either = each.send_chat_completion_request(ChatCompletionRequest("Hello", stream=stream))
        assert_type(either, ChatCompletionResponse | Chunks)
    assert_type(await asking.send_chat_completion_request(ChatCompletionRequest("Hello")), ChatCompletionResponse)
    assert_type(await asking.send_chat_completion_request(ChatCompletionRequest("Hello", stream=True)), Chunks)
    assert_type(runner.send_chat_completion_request(ChatCompletionRequest("Hello")).parse(int), int)


def ask(request: ChatCompletionRequest) -> str:
    return runner.send_chat_completion_request(request).text
"""


def check(folder: Path, *more: Path) -> str:
    """What mypy says about the programs in a folder, and others."""
    (folder / "mypy.ini").write_text(CONFIG)
    words = [sys.executable, "-m", "mypy", "--config-file", str(folder / "mypy.ini"), "--no-error-summary"]
    programs = [*sorted(folder.glob("*.py")), *more]
    done = subprocess.run([*words, *map(str, programs)], cwd=ROOT, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_pages_and_examples_pass_a_type_checker(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text('from mistralrs import Runner\nRunner("demo").answer()\n')
    for page in RUN:
        name = page.removesuffix(".md").replace("/", "_").replace("-", "_")
        (tmp_path / f"{name}.py").write_text("\n\n".join(blocks(page)))
    said = check(tmp_path, *sorted((ROOT / "examples").rglob("*.py"))).splitlines()
    assert [line for line in said if "wrong.py" not in line] == []
    assert len(said) == 1  # mypy did look
