"""Every class of error: its exit code, one line on what happened, one on what to type, nothing on stdout."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import typer

from mistralrs_cli import errors
from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.commands import app
from mistralrs_cli.cli.synonyms import COMMANDS, OPTIONS
from tests.fake_model import FakeModels
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MistralrsError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_its_code_and_two_lines(
    kind: type[errors.MistralrsError], models: FakeModels, capsys: Captured
) -> None:
    models.open_failure = kind("It broke.", "Fix it.")
    assert main(["run", "-m", "M", "-i", "x"], models) == kind.exit_code
    assert capsys.readouterr() == ("", "error: It broke.\nhint: Fix it.\n")
    assert "load" not in models.calls


def test_an_error_within_the_answer_ends_its_line_first(models: FakeModels, capsys: Captured) -> None:
    models.answers = [["It is", errors.GenerationError("It broke.")]]
    assert main(["run", "-m", "M", "-i", "x"], models) == 5
    assert capsys.readouterr() == ("It is\n", "error: It broke.\n")


def test_only_a_closed_stdout_is_passed_over_in_silence(models: FakeModels, capsys: Captured) -> None:
    models.answers = [[BrokenPipeError("to a program that died")]]
    assert main(["run", "-m", "M", "-i", "x"], models) == 1
    assert "unexpected error: BrokenPipeError: to a program that died" in capsys.readouterr().err


def test_debug_adds_the_traceback(models: FakeModels, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRALRS_DEBUG", "1")
    models.open_failure = errors.ModelNotFound("It broke.", "Fix it.")
    assert main(["run", "-m", "M", "-i", "x"], models) == 3
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("error: It broke.\nhint: Fix it.\n")


def test_ctrl_c_is_130_and_silent(models: FakeModels, capsys: Captured) -> None:
    models.answers = [["It is", KeyboardInterrupt()]]
    assert main(["run", "-m", "M", "-i", "x"], models) == 130
    assert capsys.readouterr() == ("It is\n", "")


@pytest.mark.parametrize(
    ("line", "said", "advised"),
    [
        ("run --imgae a -i x", "There is no option --imgae.", "Did you mean --image?"),
        ("run --max-tokn 4 -i x", "There is no option --max-tokn.", "Did you mean --max-tokens?"),
        ("run --zzz -i x", "There is no option --zzz.", "mistralrs run --help"),
        ("-m M -i x", "There is no option -m.", "mistralrs run -m …"),
        ("rum -i x", "There is no command rum.", "Did you mean mistralrs run?"),
        ("cache lst", "There is no command lst.", "Did you mean mistralrs cache list?"),
        ("help serve", "There is no command help.", "mistralrs serve --help"),
        ("photo.jpg", "There is no command photo.jpg.", 'mistralrs run --image photo.jpg -i "What is this?"'),
        ("'What is this?'", "There is no command What is this?.", 'mistralrs run -i "What is this?"'),
        ("a/b", "There is no command a/b.", "mistralrs run -m a/b"),
        ("run -m", "-m needs a value.", "mistralrs run -m Qwen/Qwen3-VL-4B-Instruct; mistralrs run --help"),
        ("run -i", "-i needs a value.", 'mistralrs run -i "What is this?"; mistralrs run --help'),
        ("serve --port", "--port needs a value.", "mistralrs serve --port 1234; mistralrs serve --help"),
        ("run --json=3 -i x", "--json takes no value.", "--json alone"),
        ("run --image -i x", "--image needs a file or an address.", "--image photo.jpg"),
        ("run --quant 4 --isq 4 -i x", "--quant and --isq exclude each other.", "--quant or --isq"),
        ("run --video-frames 4 --video-fps 1 -i x", "exclude each other", "--video-frames or --video-fps"),
        ("run --regex a --grammar b -i x", "exclude each other", "--regex or --grammar"),
        ("run --regex ( -i x", "Invalid regex: unclosed group", "Fix it"),
        ("run -m '' -i x", "The model after -m has no name.", "-m"),
        ("inspect -m ' ' a.png", "The model after -m has no name.", "-m"),
        ("run --json-schema nowhere.json -i x", "there is no file nowhere.json", "--json-schema"),
        ("run --json-schema README.mdd -i x", "there is no file README.mdd", "Did you mean README.md?"),
        ("run --grammar tests -i x", "tests cannot be read: Is a directory.", "--grammar"),
        ("run --json-schema README.md -i x", "README.md is not JSON: line 1, column 1.", "JSON schema"),
        ("serve --api-key-file nowhere", "--api-key-file: there is no file nowhere.", "one key"),
        ("run --max-tokens 0 -i x", "--max-tokens must be at least 1, not 0.", "--help"),
        ("run --max-tokens many -i x", '--max-tokens must be a whole number, not "many".', "mistralrs run --help"),
        ("run --max-tokens 2.5 -i x", '--max-tokens must be a whole number, not "2.5".', "--help"),
        ("run --top-k 99999999999999999999 -i x", "--top-k must be from 0 to 1,073,741,824, not 9999", "--help"),
        ("run --temperature hot -i x", '--temperature must be a number, not "hot".', "--help"),
        ("run --temperature -1 -i x", "--temperature must be from 0 to 100, not -1.0.", "--help"),
        ("run --temperature nan -i x", "--temperature must be from 0 to 100, not nan.", "--help"),
        ("run --video-start inf -i x", "--video-start must be at least 0, not inf.", "--help"),
        ("run --top-p 1.5 -i x", "--top-p must be from 0 to 1, not 1.5.", "--help"),
        ("run --threads 0 -i x", "--threads must be at least 1, not 0.", "--help"),
        ("run --dtype f17 -i x", '--dtype must be auto, bf16, f16 or f32, not "f17".', "--help"),
        ("run --thinking=perhaps -i x", '--thinking must be true or false, not "perhaps".', "--help"),
        (
            "run --reasoning-effort much -i x",
            '--reasoning-effort must be off, low, medium, high or xhigh, not "much',
            "-h",
        ),
        ("run --thinking --reasoning-effort off -i x", "contradict each other", "Give one."),
        ("run --video-fps 0 -i x", "--video-fps must be above 0.", "--video-fps 2"),
        ("run --video-start 3 --video-end 2 -i x", "--video-end 2 is not after --video-start 3.", "seconds"),
        ("run vison -i x", "Unexpected argument: vison", "after -i"),
        ("run a.png -i x", "Unexpected argument: a.png", "mistralrs run --image a.png"),
        ("run llama3 hello", "Unexpected argument: llama3", 'mistralrs run -m llama3 -i "hello"'),
        ("run 'What is it?' a.jpg", "Unexpected argument: What is it?", 'mistralrs run -i "What is it?"'),
        ("serve a/b", "Unexpected argument: a/b", "mistralrs serve -m a/b"),
        ("run --image a.jpg --image - -i -", "stdin can be read once only.", "name files"),
        ("run --image - - -i x", "stdin can be read once only.", "name files"),
        ("run -i ''", "The question is empty.", "-i"),
        ("run text --image README.md -i x", "--image cannot be used with the kind 'text'.", "multimodal"),
        ("run", "There is no question.", "mistralrs run -i"),
        ("run --no-stdin", "There is no question.", "mistralrs run -i"),
        ("run --no-stdin -i -", "--no-stdin and - contradict each other.", "Leave out"),
        ("run --no-stdin --image - -i x", "--no-stdin and - contradict each other.", "Leave out"),
        ("run --audio a.wav", "--audio needs a question after -i.", "mistralrs run --audio sound.wav -i"),
        ("run --video a.mp4 'What is it?'", "--video needs a question after -i.", '-i "What is it?"'),
        ("inspect", "mistralrs inspect needs MEDIA.", "mistralrs inspect photo.jpg"),
        ("quantize -m demo --isq 4", "mistralrs quantize needs --output.", "-o qwen3-vl-4bit"),
        ("sessions show", "mistralrs sessions show needs ID.", "mistralrs sessions list"),
        ("cache delete", "mistralrs cache delete needs MODEL.", "mistralrs cache list"),
        ("completions tcsh", 'SHELL must be bash, zsh or fish, not "tcsh".', "--help"),
        ("bench --requests 2 --requests 0", "--requests must be at least 1, not 0.", "mistralrs bench --help"),
        ("serve -p 65536", "--port must be from 0 to 65535, not 65536.", "mistralrs serve --help"),
    ],
)
def test_bad_usage_is_2_and_says_what_to_type(
    line: str, said: str, advised: str, models: FakeModels, capsys: Captured
) -> None:
    assert main(shlex.split(line), models) == 2
    out, err = capsys.readouterr()
    error, hint = err.splitlines()
    assert out == ""
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert advised in hint
    assert models.calls == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("run --prompt x", '-i "…"'),
        ("run -p x", '-i "…"'),
        ("run --message=x", '-i "…"'),
        ("run --attach x", "--image FILE"),
        ("run --picture x", "--image FILE"),
        ("run -f x", "--image FILE"),
        ("run --model x", "-m MODEL"),
        ("run --hf-repo x", "-m MODEL"),
        ("bench --model x", "-m MODEL"),
        ("run --n-predict 9", "--max-tokens N"),
        ("run --max_new_tokens 9", "--max-tokens N"),
        ("run --temp 1", "--temperature F"),
        ("run --ctx-size 9", "--max-seq-len N"),
        ("run --system-prompt x", '-s "…"'),
        ("run --load-in-4bit", "--quant 4"),
        ("run --no-think", "--thinking=false"),
        ("run --fps 1", "--video-fps F"),
        ("serve --bind x", "--host ADDRESS"),
        ("serve --parallel 9", "--max-seqs N"),
    ],
)
def test_names_of_other_tools_lead_to_the_option(typed: str, meant: str, capsys: Captured) -> None:
    assert main(shlex.split(typed)) == 2
    assert capsys.readouterr().err.splitlines()[1] == f"hint: Did you mean {meant}?"


@pytest.mark.parametrize(
    ("typed", "advised"),
    [
        ("chat", "mistralrs run without -i opens a chat."),
        ("list", "mistralrs cache list"),
        ("ls", "mistralrs cache list"),
        ("pull llava", "downloaded when it is first used"),
        ("rm x", "mistralrs cache delete"),
        ("whisper a.wav", "mistralrs transcribe"),
        ("status", "mistralrs ps"),
        ("kill demo", "mistralrs stop"),
        ("show x", "--dry-run"),
        ("create x", "mistralrs quantize"),
        ("run --lora x", "merge the adapter"),
        ("run --stream", "as they come"),
        ("run -o x", "> answer.txt"),
        ("run --api-key x", "another command: mistralrs serve --api-key"),
        ("serve --image x", "another command: mistralrs run --image"),
    ],
)
def test_what_there_is_not_has_its_way_here(typed: str, advised: str, capsys: Captured) -> None:
    assert main(shlex.split(typed)) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: There is no ")
    assert advised in hint


def test_every_hint_for_a_name_of_another_tool_is_true() -> None:
    """What is offered exists, and no command is offered another name for itself."""
    commands = getattr(typer.main.get_command(app), "commands")  # noqa: B009
    known = {name for command in commands.values() for option in command.params for name in option.opts}
    offered = {hint.split()[0].partition("=")[0] for hint in OPTIONS.values() if len(hint.split()) <= 2}
    assert {name for name in offered if name.startswith("-")} <= known | {"--yes"}
    assert not COMMANDS.keys() & commands.keys()
    named = re.findall(r"mistralrs (\w+)", "\n".join((*COMMANDS.values(), *OPTIONS.values())))
    assert set(named) <= commands.keys() | {"without"}


def test_bytes_on_stdin_are_no_question(
    models: FakeModels, samples: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin((samples / "shapes.png").read_bytes()))
    assert main(["run", "-i", "What?"], models) == 2
    assert "--image -" in capsys.readouterr().err


def test_a_schema_that_is_no_json(models: FakeModels, tmp_path: Path, capsys: Captured) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text("{'type': 1}")
    assert main(["run", "-i", "x", "--json-schema", str(schema)], models) == 2
    assert "is not JSON" in capsys.readouterr().err


def test_a_text_model_is_no_multimodal_one(models: FakeModels, capsys: Captured) -> None:
    models.family.modalities = frozenset()
    assert main(["run", "vision", "-m", "M", "-i", "x"], models) == 3
    assert "M reads text only." in capsys.readouterr().err
