"""From a command line to a job, without the commands that are not meant.

``run`` is what people wait for: it is parsed without importing the others. What is no plain ``run`` is parsed among all
commands, and so is what cannot be parsed, since the error may name another one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .argv import command_first
from .completions import PROGRAM, VARIABLE

if TYPE_CHECKING:
    from .job import Job

ELSEWHERE = {"-h", "--help", "--version"}


def parse(words: Sequence[str]) -> Job | int:
    """The job a command line asks for, or an exit code where help, a version or a completion was all it wanted.

    Raises ``OptionError`` for words that cannot be parsed, and where options make no sense together.
    """
    arranged = command_first(words)
    if arranged[:1] == ["run"] and not ELSEWHERE & {*arranged} and VARIABLE not in os.environ:
        job = parse_run(arranged)
        if job is not None:
            return job
    from .commands import parse

    return parse(words)


def parse_run(words: Sequence[str]) -> Job | None:
    """The job of a ``run``; ``None`` where it cannot be parsed."""
    import typer
    from typer.main import get_command

    from ..errors import OptionError
    from .command import Command, Group
    from .config_file import config_path
    from .run import run

    app = typer.Typer(name=PROGRAM, cls=Group, add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(run)
    app.callback()(lambda: None)
    try:
        found: Job = get_command(app).main(args=[*words], prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException:
        return None
    except OptionError:
        if config_path().exists():  # a name in it may be an option of another command
            return None
        raise
    return found
