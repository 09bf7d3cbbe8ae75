"""Private names of typer and of Python itself. ``tests/drift/test_private_names.py`` checks each of them."""

from __future__ import annotations

import atexit


def enable_completion() -> None:
    """Let typer answer a shell that asks it for completions."""
    from typer._completion_classes import completion_init

    completion_init()


def completion_script(program: str, variable: str, shell: str) -> str:
    """The script by which a shell completes ``program``, which reads ``variable`` of the environment."""
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name=program, complete_var=variable, shell=shell)


def run_exit_functions() -> None:
    """Run what was registered with ``atexit``, as the end of the interpreter would."""
    atexit._run_exitfuncs()
