"""Files and batch jobs on disk: what is said of them in SQLite, contents as files beside it.

A result of a line is one transaction, and so is the end of a batch with its output files. Whenever the process is
killed, each line has one result or none, and goes on from there.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ...batch.row_file import lock
from ...errors import MistralrsError, OptionError, reason
from ...sizes import readable
from .records import UNFINISHED, Batch, Counts, LineResult, StoredFile, new_id

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, purpose TEXT NOT NULL, filename TEXT NOT NULL,
    size INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER);
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS results (
    batch TEXT NOT NULL, number INTEGER NOT NULL, failed INTEGER NOT NULL, line BLOB NOT NULL,
    input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL, PRIMARY KEY (batch, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secret (value BLOB NOT NULL);
"""
COUNTS = (
    "SELECT COALESCE(SUM(failed = 0), 0), COALESCE(SUM(failed), 0), COALESCE(SUM(input_tokens), 0), "
    "COALESCE(SUM(cached_tokens), 0), COALESCE(SUM(output_tokens), 0), COALESCE(SUM(reasoning_tokens), 0) "
    "FROM results WHERE batch = ?"
)
CHUNK = 1 << 20  # bytes copied at a time
KEPT = 30 * 24 * 3600  # seconds that a batch can be looked up after its end


class JobStore:
    """The folder of one server. Any thread may call it; another process may not open it meanwhile.

    ``disk`` is how many bytes files and results may take together. Raises ``OptionError`` where the folder cannot be
    used.
    """

    def __init__(self, folder: Path, disk: int) -> None:
        self.folder = folder
        self.disk = disk
        self._lock = threading.RLock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._contents = folder / "files"
            self._contents.mkdir(mode=0o700, exist_ok=True)
            self._held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise OptionError(f"Batch jobs cannot be kept in {folder}: {reason(error)}.", HINT) from error
        if not lock(self._held):
            os.close(self._held)
            raise OptionError(f"Batch jobs in {folder} are another server's.", HINT)
        try:
            self._connection = sqlite3.connect(folder / "jobs.sqlite3", isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(SCHEMA)
            self._connection.execute(
                "INSERT INTO secret SELECT ? WHERE NOT EXISTS (SELECT * FROM secret)", (secrets.token_bytes(32),)
            )
            self._secret: bytes = self._connection.execute("SELECT value FROM secret").fetchone()[0]
            self._used = self._measured()
            self._remove_strays()
        except (OSError, sqlite3.Error) as error:
            os.close(self._held)
            raise OptionError(f"Batch jobs in {folder} cannot be read: {error}.", HINT) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing. Raises ``MistralrsError`` where the disk is full."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise MistralrsError(f"The store of batch jobs cannot be written: {error}.") from error
                raise

    def _measured(self) -> int:
        files, results = (
            self._connection.execute(f"SELECT COALESCE(SUM({what}), 0) FROM {table}").fetchone()[0]
            for what, table in (("size", "files"), ("LENGTH(line)", "results"))
        )
        return int(files) + int(results)

    def _remove_strays(self) -> None:
        """Remove contents of no file: those of an upload or of a batch's end that was killed."""
        known = {row[0] for row in self._connection.execute("SELECT id FROM files")}
        for path in self._contents.iterdir():
            if path.name not in known:
                path.unlink()

    def owner(self, key: str | None) -> str:
        """Whose files a key's are: nothing by which the key could be found."""
        return "" if key is None else hmac.new(self._secret, key.encode(), hashlib.sha256).hexdigest()

    @property
    def used(self) -> int:
        """Bytes that files and results take."""
        return self._used

    @property
    def full(self) -> bool:
        """Whether nothing more may be kept."""
        return self._used >= self.disk

    def _take(self, size: int) -> None:
        """Count so many bytes more. Raises ``OptionError`` where they are too many."""
        with self._lock:
            if self._used + size > self.disk:
                raise OptionError(
                    f"Stored files may take {readable(self.disk)} together.",
                    "Delete some, or have the server allow more with --batch-disk.",
                )
            self._used += size

    def content(self, name: str) -> Path:
        """Where a file's content is, by its id."""
        return self._contents / name

    def add_file(self, content: BinaryIO, make: Callable[[int], StoredFile]) -> StoredFile:
        """Keep a file; ``make`` is given its size. Raises ``OptionError`` where there is no room for it."""
        part = self._contents / new_id("part-")
        size, kept = 0, False
        try:
            with part.open("xb") as target:
                while data := content.read(CHUNK):
                    self._take(len(data))
                    size += len(data)
                    target.write(data)
                target.flush()
                os.fsync(target.fileno())
            file = make(size)
            part.replace(self.content(file.id))
            with self._transaction() as connection:
                insert_file(connection, file)
            kept = True
        except OSError as error:
            raise MistralrsError(f"The file cannot be kept: {reason(error)}.") from error
        finally:
            part.unlink(missing_ok=True)
            if not kept:
                with self._lock:
                    self._used -= size
        return file

    def files(self, owner: str) -> list[StoredFile]:
        """An owner's files, newest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT * FROM files WHERE owner = ? ORDER BY created_at DESC, rowid DESC", (owner,)
            ).fetchall()
        return [file for file in (StoredFile(*row) for row in rows) if not file.expired]

    def file(self, name: str, owner: str) -> StoredFile | None:
        """An owner's file, unless its time is over."""
        with self._lock:
            row = self._connection.execute("SELECT * FROM files WHERE id = ? AND owner = ?", (name, owner)).fetchone()
        found = None if row is None else StoredFile(*row)
        return None if found is None or found.expired else found

    def remove_file(self, file: StoredFile) -> None:
        """Remove a file and its content."""
        with self._transaction() as connection:
            removed = connection.execute("DELETE FROM files WHERE id = ?", (file.id,)).rowcount
            self._used -= file.size if removed else 0
        self.content(file.id).unlink(missing_ok=True)

    def put_batch(self, batch: Batch, *, unless: Sequence[str] = ()) -> Batch:
        """Keep what is known of a batch; where its status is one of ``unless``, that stays. Returns what is kept."""
        with self._transaction() as connection:
            row = connection.execute("SELECT data FROM batches WHERE id = ?", (batch.id,)).fetchone()
            if row is not None and (there := Batch.restored(row[0])).status in unless:
                return there
            insert_batch(connection, batch)
        return batch

    def batches(self, owner: str | None = None) -> list[Batch]:
        """An owner's batches, or all, newest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT data FROM batches WHERE ? IS NULL OR owner = ? ORDER BY created_at DESC, rowid DESC",
                (owner, owner),
            ).fetchall()
        return [self._counted(Batch.restored(row[0])) for row in rows]

    def unfinished(self) -> list[Batch]:
        """The batches that have something left to do, oldest first."""
        return [batch for batch in reversed(self.batches()) if batch.unfinished]

    def batch(self, name: str, owner: str) -> Batch | None:
        """An owner's batch."""
        with self._lock:
            row = self._connection.execute(
                "SELECT data FROM batches WHERE id = ? AND owner = ?", (name, owner)
            ).fetchone()
        return None if row is None else self._counted(Batch.restored(row[0]))

    def _counted(self, batch: Batch) -> Batch:
        if not batch.unfinished:
            return batch
        with self._lock:
            return replace(batch, counts=Counts(*self._connection.execute(COUNTS, (batch.id,)).fetchone()))

    def answered(self, batch: Batch) -> set[int]:
        """The numbers of the lines that have a result."""
        with self._lock:
            return {
                row[0] for row in self._connection.execute("SELECT number FROM results WHERE batch = ?", (batch.id,))
            }

    def add_result(self, batch: Batch, result: LineResult) -> None:
        """Keep what came of a line. Nothing where there is a result already, or the batch has ended."""
        with self._transaction() as connection:
            row = connection.execute("SELECT status FROM batches WHERE id = ?", (batch.id,)).fetchone()
            if row is None or row[0] not in UNFINISHED:
                return
            added = connection.execute(
                "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    batch.id,
                    result.number,
                    result.failed,
                    result.line,
                    result.input_tokens,
                    result.cached_tokens,
                    result.output_tokens,
                    result.reasoning_tokens,
                ),
            ).rowcount
            self._used += len(result.line) if added else 0

    def finish(self, batch: Batch, made: Callable[[str, str, int], StoredFile]) -> Batch:
        """Write the results of a batch to its files, in the order of its lines, and end it, but once.

        ``made`` makes a file of an id, a name and a size.
        """
        batch = self._counted(batch)
        written: dict[bool, StoredFile] = {}
        with ExitStack() as undo:  # where the disk is full, nothing of them stays on it
            for failed, kind in ((False, "output"), (True, "error")):
                name = new_id("file-")
                undo.callback(self.content(name).unlink, missing_ok=True)
                size = self._write(batch, self.content(name), failed=failed)
                if size:
                    written[failed] = made(name, f"{batch.id}_{kind}.jsonl", size)
            ended = replace(
                batch,
                status=batch.end,
                times={**batch.times, batch.end: int(time.time())},
                output_file_id=written[False].id if False in written else None,
                error_file_id=written[True].id if True in written else None,
            )
            with self._transaction() as connection:
                row = connection.execute("SELECT data FROM batches WHERE id = ?", (batch.id,)).fetchone()
                if not (there := Batch.restored(row[0])).unfinished:  # as when it is cancelled twice
                    return there
                for file in written.values():
                    insert_file(connection, file)
                insert_batch(connection, ended)
                connection.execute("DELETE FROM results WHERE batch = ?", (batch.id,))
            undo.pop_all()
        return ended

    def _write(self, batch: Batch, path: Path, *, failed: bool) -> int:
        """Write results to a file; its size, where 0 leaves none."""
        reader = sqlite3.connect(self.folder / "jobs.sqlite3")  # its own view: others write meanwhile
        try:
            rows = reader.execute(
                "SELECT line FROM results WHERE batch = ? AND failed = ? ORDER BY number", (batch.id, failed)
            )
            with path.open("xb") as target:
                for row in rows:
                    target.write(row[0])
                target.flush()
                os.fsync(target.fileno())
                size = target.tell()
        finally:
            reader.close()
        if not size:
            path.unlink()
        return size

    def sweep(self) -> None:
        """Remove files whose time is over, and what is known of batches that ended long ago."""
        with self._lock:
            files = [StoredFile(*row) for row in self._connection.execute("SELECT * FROM files")]
        reading = {batch.input_file_id for batch in self.unfinished()}
        for file in files:
            if file.expired and file.id not in reading:
                self.remove_file(file)
        marks = ", ".join("?" * len(UNFINISHED))
        with self._transaction() as connection:
            connection.execute(
                f"DELETE FROM batches WHERE created_at < ? AND status NOT IN ({marks})",
                (int(time.time()) - 2 * KEPT, *UNFINISHED),
            )

    def close(self) -> None:
        """Let another server have the folder."""
        with self._lock:
            self._connection.close()
            os.close(self._held)


HINT = "Name another folder with --batch-folder, or turn them off with --no-batches."


def insert_file(connection: sqlite3.Connection, file: StoredFile) -> None:
    """Add a row for a file."""
    connection.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
        (file.id, file.owner, file.purpose, file.filename, file.size, file.created_at, file.expires_at),
    )


def insert_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Add or replace the row of a batch."""
    connection.execute(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET status = excluded.status, data = excluded.data",
        (batch.id, batch.owner, batch.status, batch.created_at, batch.stored()),
    )
