"""What only a process of its own can show: signals, pipes, closed streams."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-W", "error", "-m", "tests.cli.driver"]


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``$M`` is ``mistralrs``; its exit code is that of the line's first command."""
    script = f'M() {{ {shlex.join(COMMAND)} "$@"; }}; {line}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )


def start(*words: str) -> "subprocess.Popen[str]":
    """Start ``mistralrs`` in a process group of its own."""
    return subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )


def assert_gone(process: "subprocess.Popen[str]") -> None:
    """The process ends with 130 long before its work would, says nothing and leaves nobody behind."""
    begin = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - begin < 20
    assert "Traceback" not in errors
    assert "Error" not in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_ctrl_c_while_answering() -> None:
    process = start("slow", "run", "-m", "M", "-i", "x")
    assert process.stdout is not None
    assert process.stdout.read(5) == "word "
    process.send_signal(signal.SIGINT)
    assert_gone(process)


def test_ctrl_c_while_a_library_is_busy() -> None:
    process = start("busy", "run", "-v", "-m", "M", "-i", "x")
    assert process.stderr is not None
    assert process.stderr.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    assert_gone(process)


def test_ctrl_c_twice_does_not_wait() -> None:
    process = start("busy", "run", "-v", "-m", "M", "-i", "x")
    assert process.stderr is not None
    assert process.stderr.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert_gone(process)


def test_a_reader_that_leaves_early_ends_it_quietly() -> None:
    done = shell("M long run -m M -i x | head -1")
    assert (done.stdout, done.stderr, done.returncode) == ("line\n", "", 141)


def test_help_into_a_closed_pipe_is_quiet() -> None:
    done = shell("M plain run --help | true")
    assert (done.stderr, done.returncode) == ("", 141)


def test_stdout_holds_the_answer_whatever_libraries_write() -> None:
    done = shell("M plain run -m M -i x")
    assert (done.stdout, done.stderr, done.returncode) == ("It is red.\n", "", 0)
    done = shell("M plain run -v --no-stats -m M -i x")
    assert done.stdout == "It is red.\n"
    assert done.stderr.splitlines() == ["a program chats on stdout", "a library chats on stdout"]


@pytest.mark.parametrize("redirection", ["2>/dev/null", "2>&-", "2>/dev/full", ""])
def test_a_silenced_stderr_changes_nothing(redirection: str) -> None:
    done = shell(f"M plain run -i x {redirection}")
    assert (done.stdout, done.returncode) == ("It is red.\n", 0)


def test_a_closed_stdout_or_stdin_is_no_accident() -> None:
    assert shell("M plain run -m M -i x >&-").returncode == 0
    assert shell("M plain run -m M -i x <&-").stdout == "It is red.\n"


def test_a_full_disk_is_said() -> None:
    done = shell("M plain run -m M -i x >/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: The answer cannot be written: No space left on device."


def test_an_accident_is_two_lines_after_what_was_said() -> None:
    done = shell("M failing run -m M -i x")
    assert (done.stdout, done.returncode) == ("It is \n", 1)
    assert done.stderr.splitlines() == [
        "error: unexpected error: RuntimeError: the ground\\nopened",
        "hint: Run it again with MISTRALRS_DEBUG=1 to see the traceback, and report it.",
    ]
    done = shell("M failing run -m M -i x", MISTRALRS_DEBUG="1")
    assert done.stderr.startswith("Traceback (most recent call last):")


def test_removed_docstrings_are_put_back() -> None:
    done = shell("M plain run --help", PYTHONOPTIMIZE="2")
    assert (done.stderr, done.returncode) == ("", 0)
    assert "Ask a model about images" in done.stdout


def test_names_that_are_no_text_do_not_break_the_message() -> None:
    done = shell("M plain run -m M --image $'no\\xff\\x1b[31msuch.jpg' -i x")
    assert done.returncode == 4
    assert "\x1b" not in done.stderr
    assert "such.jpg" in done.stderr


def test_a_poor_encoding_loses_letters_not_the_answer() -> None:
    done = shell("M plain run -m M --image größe.jpg -i x", PYTHONIOENCODING="ascii")
    assert done.returncode == 4
