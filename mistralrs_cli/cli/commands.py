"""The commands there are, and how a command line becomes a job. Parsing does nothing else: doing comes after."""

from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from .. import __version__
from .argv import command_first
from .batch import batch
from .bench import bench
from .cache import cache
from .command import Command, Group
from .compat import enable_completion
from .completions import PROGRAM, VARIABLE, completions
from .config import config
from .doctor import doctor
from .engines import ps, stop
from .inspect import inspect
from .job import Job
from .login import login
from .quantize import quantize
from .run import run
from .serve import serve
from .sessions import sessions
from .transcribe import transcribe

HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(name=PROGRAM, cls=Group, add_completion=False, pretty_exceptions_enable=False, context_settings=HELP)
app.command(cls=Command)(run)
app.command(cls=Command)(transcribe)
app.command(cls=Command)(batch)
app.command(cls=Command)(serve)
app.command(cls=Command)(inspect)
app.command(cls=Command)(quantize)
app.command(cls=Command)(bench)
app.command(cls=Command)(doctor)
app.command(cls=Command)(login)
app.add_typer(cache, name="cache")
app.command(cls=Command)(ps)
app.command(cls=Command)(stop)
app.command(cls=Command)(completions)
app.add_typer(sessions, name="sessions")
app.add_typer(config, name="config")


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Ask a model on your own machine about images, audio and video.

    mistralrs run --image photo.jpg -i "What is this?"

    Every command has its own --help. -v, --verbose and --seed N may also stand before a command that takes them.
    """


def parse(words: Sequence[str]) -> Job | int:
    """The job a command line asks for, or an exit code where help, a version or a completion was all it wanted.

    Raises ``OptionError`` for words that cannot be parsed, and where options make no sense together.
    """
    enable_completion()
    group = get_command(app)
    assert isinstance(group, Group)
    words = command_first(words)
    try:
        outcome: Job | int = group.main(args=words, prog_name=PROGRAM, complete_var=VARIABLE, standalone_mode=False)
    except typer.TyperException as error:
        from .usage import in_our_words

        raise in_our_words(error, group, words) from error
    return outcome
