"""``mistralrs login``: keep a hub token for gated and private models."""

import sys
from typing import Annotated

from ..errors import OptionError
from ..terminal.console import Console
from .job import Job, Task
from .params.group import Only, takes_groups
from .params.model import ModelParams


@takes_groups
def login(*, model: Annotated[ModelParams, Only("token_source")]) -> Job:
    """Keep a Hugging Face token, so that gated and private models can be downloaded.

    On a terminal it asks for the token without showing it; in a pipe it reads it from stdin. The token is checked
    with the hub before it is stored where the hub's own tools store it.

    mistralrs login
    mistralrs login --token-source env:HF_TOKEN
    """

    def work(console: Console) -> None:
        from ..loading.account import log_in
        from ..loading.checkpoint import hub_token, usable_token

        token = hub_token(model.token_source)
        if token is False:
            raise OptionError("--token-source none gives no token to log in with.", "Leave it out to type one.")
        name = log_in(token if isinstance(token, str) else usable_token(read_token(), "The answer"))
        console.note(f"logged in as {name}")

    return Task(work)


def read_token() -> str:
    """The token, typed unseen or read from a pipe."""
    import getpass

    if sys.stdin is None:
        return ""
    return getpass.getpass("Token (input is not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
