"""Where rows go: a file that a later run may go on with, or a stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from ..errors import OptionError
from ..media.suffixes import suffix_of
from .digest import Settings
from .resume import Plan, resumed
from .row_file import RowFile
from .table import Form, columns_of, flat, pyarrow, read_table, write_table
from .written import line

OutputFormat = Literal["jsonl", "csv", "parquet"]
FORMATS: dict[str, OutputFormat] = {"jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "parquet": "parquet"}
PARTIAL = ".partial.jsonl"


class Output(Protocol):
    """Takes the rows of one run."""

    shown: str
    streams: bool

    def plan(self, rows: Sequence[tuple[str, str]], settings: Settings, *, retry: bool) -> Plan:
        """What is left of the rows, each an id and a digest. Nothing is written yet."""

    def begin(self, plan: Plan) -> None:
        """Make room for the rows that are left."""

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Write the row of this number."""

    def finish(self) -> None:
        """All rows are there."""

    def close(self) -> None:
        """Leave the output as it is."""


class FileOutput:
    """A file of rows, which may become a table at the end; with ``ordered``, JSON lines are put in order then.

    While a table is made its rows are in a file beside it, ``out.csv.partial.jsonl``.
    """

    streams = False

    def __init__(self, path: Path, shown: str, form: OutputFormat, *, ordered: bool, overwrite: bool) -> None:
        self.path, self.shown, self.form = path, shown, form
        self.ordered = ordered
        if form == "parquet":
            pyarrow()
        if path.is_dir():
            raise OptionError(f"-o: {shown} is a folder.", f"Name a file: -o {Path(shown) / 'out.jsonl'}")
        if not path.parent.is_dir():
            raise OptionError(f"-o: there is no folder {path.parent}.", f"mkdir -p {path.parent}")
        rows = path if form == "jsonl" else path.with_name(path.name + PARTIAL)
        self.seeded, self.created = False, not rows.exists()
        self.order: dict[str, int] = {}
        self.overwrite = overwrite
        self.file = RowFile(rows, shown, fresh=overwrite)
        if not overwrite and form != "jsonl" and not self.file.entries and path.exists() and path.stat().st_size:
            self._read_back(form)

    def _read_back(self, form: Form) -> None:
        self.seeded = True
        try:
            self.file.fill(read_table(self.path, self.shown, form))
        except BaseException:
            self.close()
            raise

    def plan(self, rows: Sequence[tuple[str, str]], settings: Settings, *, retry: bool) -> Plan:
        """What is left of the rows."""
        self.order = {name: number for number, (name, _) in enumerate(rows)}
        try:
            plan = resumed(rows, self.file, settings, retry=retry)
        except OptionError:
            self.close()
            raise
        return plan

    def begin(self, plan: Plan) -> None:
        """Remove what is not to be kept."""
        self.seeded = False
        if self.overwrite:
            self.file.clear()
        self.file.rewrite(plan.keep, plan.names)

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Append a row."""
        self.file.append(row if self.form == "jsonl" else flat(row))

    def finish(self) -> None:
        """Put the rows in order, and make the table."""
        last = len(self.order)
        entries = sorted(self.file.entries, key=lambda entry: self.order.get(entry.id, last))
        if self.form == "jsonl":
            if self.ordered:
                self.file.rewrite(entries)
            self.file.close()
            return
        write_table(self.path, self.form, self.file.rows(entries), columns_of(self.file.rows(entries)))
        self.file.close()
        self.file.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the rows for a later run, but no file that holds nothing of its own."""
        if self.file.open and (self.seeded or (self.created and not self.file.entries)):
            self.file.path.unlink(missing_ok=True)
        self.file.close()


class StreamOutput:
    """Rows for a pipe, by ``write``: as they come, or in order. Nothing can be gone on with."""

    streams = True

    def __init__(self, write: Callable[[str], None], form: OutputFormat, *, ordered: bool) -> None:
        self.shown = "stdout"
        self.write, self.form, self.ordered = write, form, ordered
        self.held: dict[int, Mapping[str, Any]] = {}
        self.next = 0
        if form == "parquet":
            raise OptionError("Parquet cannot be written to a pipe.", "Name a file: -o out.parquet")

    def plan(self, rows: Sequence[tuple[str, str]], settings: Settings, *, retry: bool) -> Plan:
        """Everything is left."""
        return Plan([True] * len(rows))

    def begin(self, plan: Plan) -> None:
        """Nothing is there."""

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Write a row, once those before it are written if that is wanted. A table waits for all of them."""
        if self.form == "csv":
            self.held[number] = flat(row)
        elif not self.ordered:
            self.write(line(row).decode())
        else:
            self.held[number] = row
            while self.next in self.held:
                self.write(line(self.held.pop(self.next)).decode())
                self.next += 1

    def finish(self) -> None:
        """Write the table."""
        if self.form == "csv":
            import io

            from .table import write_csv

            rows = [self.held[number] for number in sorted(self.held)]
            text = io.BytesIO()
            write_csv(text, rows, columns_of(rows))
            self.write(text.getvalue().decode())

    def close(self) -> None:
        """Write what is held back: rows that were done before earlier ones."""
        if self.form == "jsonl":
            for number in sorted(self.held):
                self.write(line(self.held[number]).decode())
            self.held.clear()


def output_for(
    name: str | None,
    form: OutputFormat | None,
    write: Callable[[str], None],
    *,
    ordered: bool = False,
    overwrite: bool = False,
) -> Output:
    """The output that ``-o`` names; without a name, or with ``-``, rows are given to ``write``.

    Raises ``OptionError`` for a name whose suffix is that of no format, and as the outputs do.
    """
    if name is None or name == "-":
        return StreamOutput(write, form or "jsonl", ordered=ordered)
    found = form or FORMATS.get(suffix_of(name))
    if found is None:
        raise OptionError(
            f"-o {name}: the name says no format.", "End it in .jsonl, .csv or .parquet, or add --format."
        )
    path = Path(name).expanduser()
    if path.exists() and not (path.is_file() or path.is_dir()):
        return StreamOutput(appender(path), found, ordered=ordered)
    return FileOutput(path, name, found, ordered=ordered, overwrite=overwrite)


def appender(path: Path) -> Callable[[str], None]:
    """A function that writes to what is no regular file: a device, a named pipe."""
    handle = os.open(path, os.O_WRONLY)
    return lambda text: (os.write(handle, text.encode()), None)[1]
