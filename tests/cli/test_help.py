"""What help, version and completions show, and what they do not import."""

import os
import re
import subprocess
import sys

import pytest
import typer

from mistralrs_cli import __version__
from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.commands import app
from mistralrs_cli.cli.params.option import ANSWER, HARDWARE, MEDIA, MODEL, OUTPUT, QUESTION

Captured = pytest.CaptureFixture[str]
COMMANDS = getattr(typer.main.get_command(app), "commands")  # noqa: B009


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_has_help_and_is_shown(command: str, capsys: Captured) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for parameter in COMMANDS[command].params:
        assert parameter.help, parameter.name
        if parameter.param_type_name == "option":
            assert all(name in shown for name in parameter.opts)


@pytest.mark.parametrize("words", [["-h"], ["run", "-h"], ["cache", "-h"], ["cache", "list", "-h"]])
def test_h_is_help(words: list[str], capsys: Captured) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert " ".join(["Usage: mistralrs", *words[:-1]]) in shown
    assert re.search(r"--help +-h +Show this and exit", shown)


def test_help_says_what_is_true_of_its_command(capsys: Captured) -> None:
    said = {}
    for command in ("run", "inspect", "bench", "doctor", "serve", "quantize"):
        main([command, "--help"])
        said[command] = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "answer, reason it ended, usage" in said["run"]
    assert not [command for command in said if command != "run" and "reason it ended" in said[command]]
    assert not [command for command in ("serve", "quantize", "bench") if "but the answer" in said[command]]
    assert not [command for command in ("serve", "quantize", "bench") if "numbers in pipes" in said[command]]


def test_options_stand_in_panels(capsys: Captured) -> None:
    main(["run", "--help"])
    shown = capsys.readouterr().out
    positions = [shown.index(f"─ {panel} ─") for panel in (QUESTION, MODEL, ANSWER, MEDIA, HARDWARE, OUTPUT)]
    assert positions == sorted(positions)
    assert "<bool>" not in shown


def test_no_words_show_the_help(capsys: Captured) -> None:
    assert main([]) == 0
    assert "Usage: mistralrs" in capsys.readouterr().out


def test_version(capsys: Captured) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"mistralrs {__version__}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_back(shell: str, capsys: Captured) -> None:
    assert main(["completions", shell]) == 0
    assert f"_MISTRALRS_COMPLETE=complete_{shell}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("mistralrs r", "run"), ("mistralrs run --max-t", "--max-tokens"), ("mistralrs run --image --vi", "--video-fps")],
)
def test_a_shell_is_offered_words(typed: str, offered: str) -> None:
    environment = {
        **os.environ,
        "_MISTRALRS_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "mistralrs_cli"], env=environment, capture_output=True, text=True
    )
    assert offered in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], {"pydantic"}),
        (["run", "--help"], {"pydantic"}),
        (["run", "--image", "nowhere.jpg", "-i", "x"], set()),
    ],
)
def test_nothing_heavy_is_imported(words: list[str], heavy: set[str]) -> None:
    code = f"import sys; from mistralrs_cli.cli.app import main; main({words!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "rich" in loaded
    assert loaded & ({"torch", "transformers", "PIL", "numpy", "httpx"} | heavy) == set()
