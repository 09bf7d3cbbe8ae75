"""``mistralrs completions``: the script that lets a shell complete commands and options."""

from typing import Annotated, Literal

from typer import Argument

from ..terminal.console import Console
from .compat import completion_script
from .job import Job, Task

PROGRAM = "mistralrs"
VARIABLE = "_MISTRALRS_COMPLETE"


def completions(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], Argument(metavar="SHELL", help="Your shell: bash, zsh or fish.", hidden=True)
    ],
) -> Job:
    """Print the script that lets bash, zsh or fish complete commands and options.

    bash, in ~/.bashrc:                eval "$(mistralrs completions bash)"
    zsh, in ~/.zshrc, after compinit:  eval "$(mistralrs completions zsh)"
    fish, once:  mistralrs completions fish > ~/.config/fish/completions/mistralrs.fish
    """

    def show(console: Console) -> None:
        console.answer(completion_script(PROGRAM, VARIABLE, shell) + "\n")

    return Task(show)
