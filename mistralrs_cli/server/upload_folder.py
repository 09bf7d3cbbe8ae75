"""The folder of a server's uploads, which is locked as long as the server runs: a killed one leaves it unlocked."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "mistralrs-uploads-"
LOCK = ".lock"


class UploadFolder:
    """A temporary folder that its owner alone can read. ``close`` removes it. Raises ``OSError``."""

    def __init__(self) -> None:
        self._made = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._made.name)
        self._handle = os.open(self.path / ".new-lock", os.O_CREAT | os.O_RDWR, 0o600)
        if lock(self._handle):  # it has its name once it is locked, so that no other server takes it for left over
            (self.path / ".new-lock").rename(self.path / LOCK)

    def close(self) -> None:
        """Remove it with everything in it."""
        self._made.cleanup()
        os.close(self._handle)


def remove_left_over() -> None:
    """Remove the folders of this user's servers that were killed. Those without a lock, or of others, stay."""
    if sys.platform == "win32":
        return
    try:
        folders = list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    except OSError:  # there is no place for temporary files
        return
    for path in folders:
        with suppress(OSError):  # it ends just now, or is none of ours
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                remove_unlocked(path)


def remove_unlocked(path: Path) -> None:
    """Remove a folder unless its lock is held. Raises ``OSError`` where it has none."""
    handle = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        if lock(handle):
            shutil.rmtree(path)
    finally:
        os.close(handle)


def lock(handle: int) -> bool:
    """Lock an open file; false where another process has, and where the system cannot."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
