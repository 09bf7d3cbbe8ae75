"""The one error boundary: a command line in, an exit code out. What takes time to import is imported inside.

Exit codes: 0 done, 1 unexpected or some rows of a batch failed, 2 usage, 3 model, 4 media, 5 generation, 130 Ctrl-C,
141 stdout closed early.
A chat ends with 129 where its terminal was closed, with 143 on SIGTERM.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ..start import Models
    from ..terminal.console import Console

INTERRUPTED = 130
ENDED = (INTERRUPTED, 129, 143)
"""Codes of a process that a signal ends and that waits for nothing more: Ctrl-C, a closed terminal, SIGTERM."""

PIPE_CLOSED = 141


def entry(models: "Models | None" = None) -> NoReturn:
    """The program ``mistralrs``: ``main`` in a process of its own."""
    try:
        from ..start import Models
        from .compat import run_exit_functions
        from .interrupt import exit_despite
        from .openmp import wait_passively

        keep_docstrings()
        hold_descriptors()
        exit_despite(INTERRUPTED)
        wait_passively(os.environ)
        code = main(sys.argv[1:], models or Models(own_process=True))
        if code not in ENDED:
            run_exit_functions()
    except KeyboardInterrupt:
        code = INTERRUPTED
    leave(code)


def leave(code: int) -> NoReturn:
    """Flush the standard streams and end the process at once.

    Taking torch apart module by module would keep the user's prompt waiting for more than a second, and after Ctrl-C
    the engine's thread may be deep inside a long operation: neither is waited for.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit(code)


def keep_docstrings() -> None:
    """Start once more without ``PYTHONOPTIMIZE=2``: transformers and the help are made from docstrings."""
    if sys.flags.optimize > 1 and os.environ.get("PYTHONOPTIMIZE", "1") != "1":
        os.environ["PYTHONOPTIMIZE"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def hold_descriptors() -> None:
    """Point standard streams that the shell closed nowhere, lest the next file opened take their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def main(argv: Sequence[str] | None = None, models: "Models | None" = None) -> int:
    """Run a command line and return the exit code; errors are shown on stderr.

    Models are found and started by ``models``, which a test may give.
    """
    try:
        from ..start import Models
        from ..terminal.console import Console

        console = Console()
        try:
            return perform(sys.argv[1:] if argv is None else argv, console, models or Models())
        except SystemExit as stop:
            if isinstance(stop.__context__, BrokenPipeError):  # while the help was printed
                return PIPE_CLOSED
            return stop.code if isinstance(stop.code, int) else 0
        except Exception as error:
            return explain(error, console)
    except KeyboardInterrupt:
        return INTERRUPTED


def perform(words: Sequence[str], console: "Console", models: "Models") -> int:
    """Parse a command line, then run the job."""
    from .front import parse

    job = parse(words)
    if isinstance(job, int):
        return job
    return job.run(console, models) or 0


def explain(error: Exception, console: "Console") -> int:
    """Show an error and what to type next, and return the exit code."""
    from ..errors import MistralrsError
    from ..terminal.console import ReaderLeft

    match error:
        case ReaderLeft():
            return PIPE_CLOSED
        case MistralrsError():
            code, message, hint = error.exit_code, error.message, error.hint
        case _:
            code, message = 1, f"unexpected error: {type(error).__name__}: {error}"
            hint = "Run it again with MISTRALRS_DEBUG=1 to see the traceback, and report it."
    if os.environ.get("MISTRALRS_DEBUG") == "1":
        import traceback

        console.trace("".join(traceback.format_exception(error)))
    console.error(message, hint)
    return code
