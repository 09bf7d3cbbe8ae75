"""Every class of error: its exit code, one line on what happened, one on what to type, nothing on stdout."""

import shlex
import sys
from pathlib import Path

import pytest

from mistralrs_cli import errors
from mistralrs_cli.cli.app import main

from .fakes import FakeStack, Stdin

Captured = pytest.CaptureFixture[str]

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MistralrsError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_its_code_and_two_lines(
    kind: type[errors.MistralrsError], stack: FakeStack, capsys: Captured
) -> None:
    stack.failure = kind("It broke.", "Mend it.")
    assert main(["run", "-m", "M", "-i", "x"]) == kind.exit_code
    assert capsys.readouterr() == ("", "error: It broke.\nhint: Mend it.\n")
    assert "load" not in stack.calls


def test_an_error_within_the_answer_ends_its_line_first(stack: FakeStack, capsys: Captured) -> None:
    stack.answer = ["It is", errors.GenerationError("It broke.")]
    assert main(["run", "-m", "M", "-i", "x"]) == 5
    assert capsys.readouterr() == ("It is\n", "error: It broke.\n")


def test_only_a_closed_stdout_is_passed_over_in_silence(stack: FakeStack, capsys: Captured) -> None:
    stack.answer = [BrokenPipeError("to a program that died")]
    assert main(["run", "-m", "M", "-i", "x"]) == 1
    assert "unexpected error: BrokenPipeError: to a program that died" in capsys.readouterr().err


def test_debug_adds_the_traceback(stack: FakeStack, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRALRS_DEBUG", "1")
    stack.failure = errors.ModelNotFound("It broke.", "Mend it.")
    assert main(["run", "-m", "M", "-i", "x"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("error: It broke.\nhint: Mend it.\n")


def test_ctrl_c_is_130_and_silent(stack: FakeStack, capsys: Captured) -> None:
    stack.answer = ["It is", KeyboardInterrupt()]
    assert main(["run", "-m", "M", "-i", "x"]) == 130
    assert capsys.readouterr() == ("It is\n", "")


@pytest.mark.parametrize(
    ("line", "said", "advised"),
    [
        ("run --imgae a -i x", "There is no option --imgae.", "Did you mean --image?"),
        ("run --max-tokn 4 -i x", "There is no option --max-tokn.", "Did you mean --max-tokens?"),
        ("run --zzz -i x", "There is no option --zzz.", "mistralrs run --help"),
        ("-m M -i x", "There is no option -m.", "mistralrs run -m …"),
        ("rum -i x", "No such command 'rum'. Did you mean 'run'?", "mistralrs --help"),
        ("run -m", "Option '-m' requires an argument.", "--help"),
        ("run --image -i x", "--image needs a file or an address.", "--image photo.jpg"),
        ("run --quant 4 --isq 4 -i x", "--quant and --isq exclude each other.", "--quant or --isq"),
        ("run --video-frames 4 --video-fps 1 -i x", "exclude each other", "--video-frames or --video-fps"),
        ("run --regex a --grammar b -i x", "exclude each other", "--regex or --grammar"),
        ("run --regex ( -i x", "The regex is not valid: unclosed group", "Mend it"),
        ("run -m '' -i x", "The model after -m has no name.", "-m"),
        ("inspect -m ' ' a.png", "The model after -m has no name.", "-m"),
        ("run --json-schema nowhere.json -i x", "there is no file nowhere.json", "--json-schema"),
        ("run --max-tokens 0 -i x", "0 is not at least 1", "--help"),
        ("run --max-tokens many -i x", "--max-tokens", "--help"),
        ("run --temperature -1 -i x", "-1.0 is not at least 0", "--help"),
        ("run --temperature nan -i x", "nan is no finite number", "--help"),
        ("run --temperature inf -i x", "inf is no finite number", "--help"),
        ("run --top-p 1.5 -i x", "1.5 is not from 0 to 1", "--help"),
        ("run --threads 0 -i x", "0 is not at least 1", "--help"),
        ("run --dtype f17 -i x", "'f17' is not one of 'auto', 'bf16', 'f16', 'f32'", "--help"),
        ("run --thinking=perhaps -i x", "'perhaps' is not one of", "--help"),
        ("run --reasoning-effort much -i x", "'much' is not one of", "--help"),
        ("run --thinking --reasoning-effort off -i x", "contradict each other", "Give one."),
        ("run --video-fps 0 -i x", "--video-fps must be above 0.", "--video-fps 2"),
        ("run --video-start 3 --video-end 2 -i x", "--video-end 2 is not after --video-start 3.", "seconds"),
        ("run vison -i x", "A stray word: vison", "after -i"),
        ("run --image a.jpg --image - -i -", "stdin can be read once only.", "name files"),
        ("run --image - - -i x", "stdin can be read once only.", "name files"),
        ("run -i", "requires an argument", "--help"),
        ("run -i ''", "The question is empty.", "-i"),
        ("run text --image README.md -i x", "run text takes no --image.", "multimodal"),
        ("run", "There is no question.", "mistralrs run -i"),
        ("run --audio a.wav", "--audio needs a question after -i.", "mistralrs run --audio sound.wav -i"),
        ("run --video a.mp4 'What is it?'", "--video needs a question after -i.", '-i "What is it?"'),
        ("inspect", "Missing argument 'MEDIA'.", "mistralrs inspect --help"),
        ("completions tcsh", "'tcsh' is not one of", "--help"),
    ],
)
def test_bad_usage_is_2_and_says_what_to_type(
    line: str, said: str, advised: str, stack: FakeStack, capsys: Captured
) -> None:
    assert main(shlex.split(line)) == 2
    out, err = capsys.readouterr()
    error, hint = err.splitlines()
    assert out == ""
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert advised in hint
    assert stack.calls == []


def test_bytes_on_stdin_are_no_question(
    stack: FakeStack, samples: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin((samples / "shapes.png").read_bytes()))
    assert main(["run", "-i", "What?"]) == 2
    assert "--image -" in capsys.readouterr().err


def test_a_schema_that_is_no_json(stack: FakeStack, tmp_path: Path, capsys: Captured) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text("{'type': 1}")
    assert main(["run", "-i", "x", "--json-schema", str(schema)]) == 2
    assert "is not JSON" in capsys.readouterr().err


def test_a_text_model_is_no_multimodal_one(stack: FakeStack, capsys: Captured) -> None:
    stack.family.modalities = frozenset()
    assert main(["run", "vision", "-m", "M", "-i", "x"]) == 3
    assert "M reads text only." in capsys.readouterr().err
