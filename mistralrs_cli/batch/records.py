"""The rows of a table: JSON objects, one a line, or CSV with a header."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from ..errors import MediaNotFound, OptionError, reason
from ..media.suffixes import suffix_of

Format = Literal["jsonl", "csv", "tsv", "paths"]
TABLES: dict[str, Format] = {"jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "tsv": "tsv"}
WIDEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table, counted from 1, as it was read; ``error`` says why it could not be."""

    number: int
    value: Any = None
    error: OptionError | None = None


def table_format(path: str) -> Format | None:
    """Which table a file is by its name, if one."""
    return TABLES.get(suffix_of(path))


def guessed(head: bytes) -> Format:
    """What a list on stdin is by its beginning: JSON objects, or else paths."""
    return "jsonl" if head.lstrip().startswith((b"{", b"[")) else "paths"


def records(path: Path, shown: str, form: Format) -> Iterator[Record]:
    """The rows of a table, one after the other. Raises ``OptionError`` for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            yield from json_lines(file) if form == "jsonl" else cells(file, shown, "\t" if form == "tsv" else ",")
    except FileNotFoundError as error:
        raise MediaNotFound(f"No such file: {shown}", "Check the path.") from error
    except OSError as error:
        raise OptionError(f"{shown} cannot be read: {reason(error)}.", "Check the file.") from error


def json_lines(file: IO[bytes]) -> Iterator[Record]:
    """Each line that is not blank as JSON; a line that is none fails alone."""
    number = 0
    for line in file:
        if not line.strip():
            continue
        number += 1
        try:
            yield Record(number, json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8").strip()))
        except UnicodeDecodeError:
            yield Record(number, error=OptionError(f"Row {number:,} is not UTF-8 text."))
        except (ValueError, RecursionError) as error:
            at = f" from column {error.colno} on" if isinstance(error, json.JSONDecodeError) else ""
            yield Record(number, error=OptionError(f"Row {number:,} is not JSON{at}.", "A line holds one object."))


def cells(file: IO[bytes], shown: str, separator: str) -> Iterator[Record]:
    """Each row of a CSV by the names of its header. Excel's semicolons are recognized."""
    limit = csv.field_size_limit(WIDEST)
    try:
        with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            first = text.readline()
            text.seek(0)
            if separator == "," and ";" in first and "," not in first:
                separator = ";"
            yield from named_cells(csv.reader(text, delimiter=separator), shown)
    except UnicodeDecodeError as error:
        raise OptionError(f"{shown} is not UTF-8 text.", "Convert it: iconv -f latin1 -t utf-8") from error
    except csv.Error as error:
        raise OptionError(f"{shown} is not CSV: {error}.", "Check its quotation marks.") from error
    finally:
        csv.field_size_limit(limit)


def named_cells(rows: Iterator[list[str]], shown: str) -> Iterator[Record]:
    """Rows under their header; those without a word in them are passed over."""
    names = [name.strip() or f"column {number}" for number, name in enumerate(next(rows, []), start=1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(f"{shown} has two columns called {twice!r}.", "Give each column a name of its own.")
    filled = (values for values in rows if any(value.strip() for value in values))
    for number, values in enumerate(filled, start=1):
        if len(values) > len(names):
            what = f"Row {number:,} has {len(values)} cells, but the header {len(names)}."
            yield Record(number, error=OptionError(what, "Put quotation marks around cells with commas."))
        else:
            yield Record(number, dict(zip(names, values + [""] * (len(names) - len(values)), strict=True)))
