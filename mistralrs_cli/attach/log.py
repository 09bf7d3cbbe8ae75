"""The log of a kept engine: a file in the user's state folder that does not grow without end."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from ..folders import state_folder

LARGEST = 1 << 20
"""Bytes; then the file becomes ``….log.1`` and a new one begins."""

FILES = 20
"""Logs that are kept; the oldest go."""


def log_path(id: str) -> Path:
    """The log of an engine."""
    return state_folder() / "engines" / f"{id}.log"


class EngineLog:
    """Where this process's stdout and stderr go once its caller has left."""

    def __init__(self, id: str) -> None:
        self.path = log_path(id)
        self.taken_over = False

    def take_over(self) -> None:
        """Point stdout and stderr to the file from now on, and keep it small."""
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            logs = sorted(self.path.parent.glob("*.log*"), key=lambda path: path.stat().st_mtime)
            for old in logs[: -FILES + 1]:
                old.unlink(missing_ok=True)
        self._open()
        self.taken_over = True
        threading.Thread(target=self._watch, name="log", daemon=True).start()

    def _open(self) -> None:
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:  # a full disk, or a folder that cannot be made: better no log than no engine
            file = os.open(os.devnull, os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)

    def _watch(self) -> None:
        while True:
            time.sleep(1.0)
            with suppress(OSError):
                if os.fstat(2).st_size > LARGEST:
                    self.path.replace(self.path.with_suffix(".log.1"))
                    self._open()
