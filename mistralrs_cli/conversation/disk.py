"""Files that are whole or not there, whatever happens while they are written: a kill, a full disk, a power cut."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

TEMPORARY = ".new-"
"""How the names of files begin that are not whole yet."""

REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is used up",
    errno.EFBIG: "the file is too large for this disk",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EIO: "the disk reports a failure",
    errno.ENOENT: "the folder is not there",
    errno.ENOTDIR: "a file is where a folder should be",
    errno.EEXIST: "a file is where a folder should be",
    errno.EISDIR: "a folder of that name is there",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ELOOP: "its links lead in a circle",
    errno.ESTALE: "the network disk is gone",
}


def reason(error: OSError) -> str:
    """Why a file cannot be read or written, in words that can follow a colon."""
    return REASONS.get(error.errno or 0, "the system refuses it")


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place: whole and on the disk when this returns, readable by its owner alone.

    The bytes are flushed to a temporary file beside it, which then takes the name in one step. Whatever fails, the
    file of before is still there. Raises ``OSError``.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)  # made with mode 0600
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(name, path)  # noqa: PTH105 - tests let each call of ``os`` fail in turn
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can. Raises ``OSError``."""
    if sys.platform == "win32":
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # one may write into a folder that one may not list
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not offered by every network file system
            raise
    finally:
        os.close(handle)


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, and those above it. Raises ``OSError``."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    flush_folder(folder.parent)
