"""The user's own editor, for questions of several lines."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path

from ..errors import OptionError
from ..terminal.console import Console, file_number


def edit_text(editor: str, text: str, console: Console) -> str:
    """Open a text in the user's editor and return what was saved. Raises ``OptionError`` where that does not run."""
    with tempfile.TemporaryDirectory(prefix="mistralrs-") as folder:
        path = Path(folder) / "question.md"
        path.write_text(text, encoding="utf-8")
        try:
            terminal = console.stdout and file_number(console.stdout)  # descriptor 1 is kept from libraries
            code = subprocess.call([*shlex.split(editor), str(path)], stdout=terminal)
        except (OSError, ValueError) as error:
            raise OptionError(
                f"The editor {editor} does not start: {error}", "Set EDITOR, as in EDITOR=nano."
            ) from error
        if code != 0:
            raise OptionError(f"The editor ended with code {code}; nothing was sent.", "Try again: /edit")
        return path.read_text(encoding="utf-8", errors="replace").removesuffix("\n")
