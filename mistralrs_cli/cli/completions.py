"""``mistralrs completions``: the script that lets a shell complete commands and options."""

from typing import Annotated, Literal

from typer import Argument

from ..terminal.console import Console
from .oneshot import Job

PROGRAM = "mistralrs"
VARIABLE = "_MISTRALRS_COMPLETE"


def completions(
    shell: Annotated[Literal["bash", "zsh", "fish"], Argument(help="Your shell.", show_default=False)],
) -> Job:
    """Print a completion script for your shell.

    bash, in ~/.bashrc: eval "$(mistralrs completions bash)"

    zsh, in ~/.zshrc after compinit: eval "$(mistralrs completions zsh)"

    fish: mistralrs completions fish > ~/.config/fish/completions/mistralrs.fish
    """

    def show(console: Console) -> None:
        from typer._completion_shared import get_completion_script

        console.answer(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell) + "\n")

    return show
