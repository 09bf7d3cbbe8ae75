"""Where a prompt's keys come from, and where its line is drawn."""

from __future__ import annotations

from prompt_toolkit.input import Input, create_input
from prompt_toolkit.output import Output, create_output

from ..terminal.console import Console
from ..terminal.encoding import writable


def keyboard() -> Input:
    """Where keys come from."""
    return create_input()


def screen(console: Console) -> Output:
    """Where the line is drawn: stdout where it is a terminal, else stderr. Libraries are kept from descriptor 1."""
    stdout = console.stdout
    seen = stdout if stdout is not None and stdout.isatty() else console.stderr.file
    return create_output(stdout=writable(seen))  # type: ignore[arg-type]
