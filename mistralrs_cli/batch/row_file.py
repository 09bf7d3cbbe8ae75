"""The file that rows are written to: one JSON object a line, whole whenever the process is killed.

Each row is appended by itself, so all that a kill can leave is a part of the last line, which the next run cuts off.
Every other change writes a new file beside the old one, which then takes its name in one step.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import MistralrsError, OptionError, reason
from .written import line

BEGINNING = b'{"id": "'


@dataclass(frozen=True, slots=True)
class Entry:
    """A row in the file: where its line begins and how long it is, in bytes."""

    id: str
    digest: str
    failed: bool
    start: int
    length: int


class RowFile:
    """A file of rows, opened for one run alone. ``entries`` are those in it.

    ``shown`` is what the user calls it; with ``fresh``, what is in it does not matter. Raises
    ``OptionError`` where another run writes it, where it holds anything but rows, and where it cannot be opened.
    """

    def __init__(self, path: Path, shown: str, *, fresh: bool = False) -> None:
        self.path = Path(os.path.realpath(path))
        self.shown = shown
        self.entries: list[Entry] = []
        try:
            self.handle = locked(self.path, shown)
        except OSError as error:
            raise OptionError(f"{shown} cannot be written: {reason(error)}.", "Name another file with -o.") from error
        self.end = 0
        try:
            beside(self.path).unlink(missing_ok=True)  # of a run that was killed
            if not fresh:
                self._scan()
        except BaseException:
            os.close(self.handle)
            raise

    def _scan(self) -> None:
        """Find the rows, and cut off what a kill left of the last one."""
        at = 0
        with open(self.handle, "rb", closefd=False) as file:
            for number, text in enumerate(file, start=1):
                if not text.endswith(b"\n"):
                    if not (self.entries or text.startswith(BEGINNING) or BEGINNING.startswith(text)):
                        raise self._foreign(number)
                    os.ftruncate(self.handle, at)
                    break
                entry = entry_of(text, at)
                if entry is None:
                    raise self._foreign(number)
                self.entries.append(entry)
                at += len(text)
        self.end = at

    def _foreign(self, number: int) -> OptionError:
        return OptionError(
            f"{self.shown} was not written by mistralrs batch (line {number:,}).",
            "Name another file with -o, or add --overwrite to lose what is in it.",
        )

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row. Raises ``MistralrsError`` where the disk is full."""
        data = line(row)
        self.write(self.handle, data)
        failed = bool(row.get("error"))
        self.entries.append(Entry(str(row["id"]), str(row["digest"]), failed, self.end, len(data)))
        self.end += len(data)

    def write(self, handle: int, data: bytes) -> None:
        """Write all of these bytes. Raises ``MistralrsError`` where the disk is full."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
        except OSError as error:
            raise MistralrsError(
                f"{self.shown} cannot be written: {reason(error)}.", "The rows in it are kept; run it again to go on."
            ) from error

    def rows(self, entries: Iterable[Entry] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of some entries, by default all, in their order."""
        for entry in self.entries if entries is None else entries:
            yield json.loads(self._line(entry))

    def _line(self, entry: Entry) -> bytes:
        os.lseek(self.handle, entry.start, os.SEEK_SET)  # rows are appended wherever this is
        return os.read(self.handle, entry.length)

    def rewrite(self, entries: Sequence[Entry], names: Mapping[str, str] | None = None) -> None:
        """Keep these entries alone, in this order; ``names`` has new ids for some. Nothing is done where all stay."""
        if not names and list(entries) == self.entries:
            return
        with self.replacing() as (put, done):
            kept: list[Entry] = []
            for entry in entries:
                data = self._line(entry)
                if names and entry.id in names:
                    data = line(json.loads(data) | {"id": names[entry.id]})
                kept.append(replace(entry, id=(names or {}).get(entry.id, entry.id), start=put(data), length=len(data)))
            done(kept)

    def fill(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Hold these rows, and no others."""
        with self.replacing() as (put, done):
            kept = []
            for row in rows:
                data = line(row)
                failed = bool(row.get("error"))
                kept.append(Entry(str(row["id"]), str(row["digest"]), failed, put(data), len(data)))
            done(kept)

    def replacing(self) -> Replacement:
        """A new file that takes this one's place once it is whole."""
        return Replacement(self)

    def clear(self) -> None:
        """Hold no rows."""
        os.ftruncate(self.handle, 0)
        self.entries, self.end = [], 0

    @property
    def open(self) -> bool:
        """Whether it is not closed."""
        return self.handle >= 0

    def close(self) -> None:
        """Have the disk hold what was written, and let others write. A second time does nothing."""
        if self.handle < 0:
            return
        with suppress(OSError):
            os.fsync(self.handle)
        os.close(self.handle)
        self.handle = -1


class Replacement:
    """A new file beside a ``RowFile``. Leaving the block without ``done`` removes it."""

    def __init__(self, file: RowFile) -> None:
        self.file = file
        self.entries: list[Entry] | None = None
        self.at = 0

    def __enter__(self) -> tuple[Callable[[bytes], int], Callable[[list[Entry]], None]]:
        self.handle, self.name = new_file(self.file.path)
        return self.put, self.done

    def put(self, data: bytes) -> int:
        """Write a line; returns where it begins."""
        begin = self.at
        self.file.write(self.handle, data)
        self.at += len(data)
        return begin

    def done(self, entries: list[Entry]) -> None:
        """All is written."""
        self.entries = entries

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        file = self.file
        if kind is not None or self.entries is None:
            os.close(self.handle)
            with suppress(OSError):
                self.name.unlink()
            return
        os.fsync(self.handle)
        if sys.platform != "win32":
            os.fchmod(self.handle, stat.S_IMODE(os.fstat(file.handle).st_mode))
            lock(self.handle)
        self.name.replace(file.path)
        os.close(file.handle)
        os.close(self.handle)
        file.handle = locked(file.path, file.shown)
        file.entries, file.end = self.entries, self.at


def beside(path: Path) -> Path:
    """Where a new file lies until it takes the place of this one, whose lock protects it."""
    return path.with_name(f".{path.name}.new")


def new_file(path: Path) -> tuple[int, Path]:
    """A descriptor of a new file beside this one, and its path. Raises ``OSError``."""
    name = beside(path)
    name.unlink(missing_ok=True)
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), name


def entry_of(text: bytes, at: int) -> Entry | None:
    """The entry of a line; ``None`` for a line that is no row."""
    try:
        row = json.loads(text)
        return Entry(row["id"], row["digest"], bool(row.get("error")), at, len(text))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def locked(path: Path, shown: str) -> int:
    """A descriptor of the file for reading and appending, which this process alone has locked. Raises ``OSError``."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            if not lock(handle):
                raise OptionError(
                    f"{shown} is being written by another run.", "Wait for its end, or name another file with -o."
                )
            there = os.stat(path)  # noqa: PTH116
            if os.path.samestat(os.fstat(handle), there):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was replaced in between


def lock(handle: int) -> bool:
    """Lock a file as far as the system can; whether no other process has."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN)
    return True
