"""The whole way, from words to a random model's answer and back."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mistralrs_cli.cli.app import main
from mistralrs_cli.options import DEFAULT_INSTRUCTION
from tests.checkpoints.builders import build

pytestmark = pytest.mark.slow

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny Gemma 4 that reads everything."""
    return str(build("gemma4", tmp_path_factory.mktemp("gemma4")))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny text model."""
    return str(build("llama", tmp_path_factory.mktemp("llama")))


def test_dry_run_and_answer_agree(folder: str, samples: Path, capsys: Captured) -> None:
    media = ["--audio", "beeps.wav", "--image", "photo.jpg", "shapes.png", "--video", "clip.gif"]
    media = [word if word.startswith("--") else str(samples / word) for word in media]
    line = ["run", "-m", folder, "--cpu", *media, "--video-frames", "4", "-i", "What?", "--json"]
    assert main([*line, "--dry-run"]) == 0
    dry = json.loads(capsys.readouterr().out)
    assert main([*line, "--max-tokens", "3", "--temperature", "0"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [medium["kind"] for medium in answer["media"]] == ["audio", "image", "image", "video"]
    assert dry["media"] == answer["media"]
    assert dry["prompt_tokens"] == answer["usage"]["prompt_tokens"]
    assert answer["usage"]["completion_tokens"] == 3
    assert answer["finish_reason"] == "length"
    usage_so_far = sum(answer["usage"][f"{kind}_tokens"] for kind in ("image", "audio", "video"))
    assert usage_so_far == sum(medium["tokens"] for medium in answer["media"])


def test_the_order_of_media_reaches_the_model(folder: str, samples: Path, capsys: Captured) -> None:
    before, after = str(samples / "before.png"), str(samples / "after.png")
    answers = []
    for pictures in ([before, after], [after, before], [before, after]):
        line = ["run", "-m", folder, "--cpu", "--temperature", "0", "--max-tokens", "12"]
        assert main([*line, "--image", *pictures, "-i", "x"]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[2] != answers[1]


def test_an_empty_question_is_the_stated_one(folder: str, samples: Path, capsys: Captured) -> None:
    counts = []
    for question in ("", DEFAULT_INSTRUCTION, "x"):
        line = ["run", "-m", folder, "--image", str(samples / "photo.jpg"), "-i", question, "--dry-run", "--json"]
        assert main(line) == 0
        counts.append(json.loads(capsys.readouterr().out)["prompt_tokens"])
    assert counts[0] == counts[1] != counts[2]


def test_constraints_seeds_and_stops(words: str, capsys: Captured) -> None:
    line = ["run", "-m", words, "--cpu", "-i", "x"]
    answers = []
    for extra in (
        ["--regex", "[ab]{6}", "--seed", "1"],
        ["--regex", "[ab]{6}", "--seed", "1"],
        ["--regex", "cde", "--stop", "e"],
    ):
        assert main([*line, *extra]) == 0
        answers.append(capsys.readouterr().out)
    assert set(answers[0]) <= set("ab\n")
    assert len(answers[0]) == 7
    assert answers[0] == answers[1]
    assert answers[2] == "cd\n"


@pytest.mark.parametrize(
    ("expression", "limit", "code"), [("[ab]{6}", 3, 5), ("[ab]{6}", 6, 0), ("[ab]+", 3, 0), ("a|bcd", 1, None)]
)
def test_an_answer_that_its_limit_cuts_is_5_unless_it_is_whole(
    words: str, expression: str, limit: int, code: int | None, capsys: Captured
) -> None:
    line = ["run", "-q", "-m", words, "--cpu", "-i", "x", "--regex", expression, "--max-tokens", str(limit)]
    found = main(line)
    shown = capsys.readouterr()
    whole = re.fullmatch(expression, shown.out.rstrip("\n")) is not None
    assert found == (0 if whole else 5)
    assert code in (None, found)
    assert ("error: The answer was cut" in shown.err) == (not whole)


def test_a_text_model_says_what_it_reads(words: str, samples: Path, capsys: Captured) -> None:
    assert main(["run", "-m", words, "--image", str(samples / "photo.jpg"), "-i", "x"]) == 4
    error, hint = capsys.readouterr().err.splitlines()
    assert error.endswith("does not read images: it reads text.")
    assert "try -m" in hint


@pytest.mark.parametrize(
    ("model", "code"), [("no/such-model", 3), ("./nowhere", 3), ("tests", 3), ("README.md", 3), ("a/b/c", 3)]
)
def test_models_that_are_none(
    model: str, code: int, capsys: Captured, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert main(["run", "-m", model, "-i", "x"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "hint"]


def test_a_process_keeps_its_streams_apart(folder: str, samples: Path) -> None:
    line = [
        "run",
        "-m",
        folder,
        "--cpu",
        "--image",
        str(samples / "photo.jpg"),
        "-i",
        "x",
        "--json",
        "--max-tokens",
        "4",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mistralrs_cli", *line], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert json.loads(done.stdout)["usage"]["completion_tokens"] == 4
    assert (done.stderr, done.returncode) == ("", 0)
