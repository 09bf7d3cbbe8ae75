"""A whole run as one table, CSV or Parquet: a column for each value, made once all rows are there."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

from ..errors import MistralrsError, OptionError, reason
from .records import WIDEST
from .row_file import beside, new_file

Form = Literal["csv", "parquet"]
FIRST = ("id", "path", "paths")
LAST = (
    *("answer", "reasoning", "tool_calls", "boxes", "points", "finish_reason", "prompt_tokens", "completion_tokens"),
    *("seconds", "notes", "error_code", "error_message", "digest"),
)


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with a column for each value: those of the input, those of a JSON answer, and what says how it went.

    A name that is taken gets ``row.`` or ``answer.`` before it.
    """
    if "custom_id" in row:
        row = of_batch(row)
    found = {name: row[name] for name in FIRST if name in row}
    reserved = {*FIRST, *LAST}
    for name, value in row.get("row", {}).items():
        found[f"row.{name}" if name in reserved else name] = value
    answer = row.get("answer")
    if isinstance(answer, Mapping):
        columns = {f"answer.{name}" if name in reserved or name in found else name: answer[name] for name in answer}
        found |= columns
    else:
        found["answer"] = answer
    found |= {name: row[name] for name in LAST if name in row and name != "answer"}
    if error := row.get("error"):
        found |= {"error_code": error["code"], "error_message": error["message"], "error": True}
    return found


def of_batch(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of OpenAI's output files as a row of ours."""
    found: dict[str, Any] = {"id": row["id"], "answer": None, "error": row["error"], "digest": row["digest"]}
    if row["response"] is not None:
        body = row["response"]["body"]
        message = body["choices"][0]["message"]
        found |= {"answer": message["content"], "finish_reason": body["choices"][0]["finish_reason"]}
        found |= {name: body["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
        found |= {name: one for name in ("boxes", "points") if (one := body["choices"][0].get(name))}
        if calls := message.get("tool_calls"):
            found["tool_calls"] = calls
    return found


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns of all rows, those of the answers in the order in which they come."""
    found = dict.fromkeys(name for row in rows for name in row if name != "error")
    middle = [name for name in found if name not in FIRST and name not in LAST]
    return [name for name in (*FIRST, *middle, *LAST) if name in found]


def write_table(path: Path, form: Form, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Put a table in place, whole. Raises ``MistralrsError`` where it cannot be written."""
    path = Path(os.path.realpath(path))
    name = beside(path)
    try:
        handle, _ = new_file(path)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
            write_csv(file, rows, columns) if form == "csv" else write_parquet(file, rows, columns)
            file.flush()
            os.fsync(handle)
        if path.exists():
            name.chmod(stat.S_IMODE(path.stat().st_mode))
        name.replace(path)
    except OSError as error:
        raise MistralrsError(
            f"{path.name} cannot be written: {reason(error)}.", "The rows are kept; run it again to go on."
        ) from error
    finally:
        with suppress(OSError):
            name.unlink(missing_ok=True)


def write_csv(file: IO[bytes], rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a CSV with a header; what is no text or number is written as JSON."""
    text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    text.detach()


def cell(value: Any) -> Any:
    """A value as a cell of a CSV."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def write_parquet(file: IO[bytes], rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a Parquet file; a column whose values are of several types is one of JSON texts."""
    arrow, parquet = pyarrow()
    values: dict[str, list[Any]] = {name: [] for name in columns}
    for row in rows:
        for name in columns:
            values[name].append(row.get(name))
    arrays = {name: column_array(arrow, values.pop(name)) for name in columns}
    parquet.write_table(arrow.table(arrays), file)


def column_array(arrow: Any, values: list[Any]) -> Any:
    """A column; as JSON texts where its values fit no type together."""
    plain = [
        value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value for value in values
    ]
    kinds = {type(value) for value in plain if value is not None}
    mixed = len(kinds - {int, float}) > (0 if kinds & {int, float} else 1)
    try:
        if not mixed and {} not in plain:
            return arrow.array(plain)
    except (arrow.ArrowException, OverflowError):
        pass
    return arrow.array([None if value is None else cell(value) for value in plain], arrow.string())


def pyarrow() -> tuple[Any, Any]:
    """The library that writes Parquet. Raises ``OptionError`` where it is not installed."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise OptionError("Parquet needs pyarrow.", "pip install 'mistralrs[parquet]', or write .csv") from error
    return arrow, parquet


def read_table(path: Path, shown: str, form: Form) -> Iterator[dict[str, Any]]:
    """The rows of a table that an earlier run has made. Raises ``OptionError`` for any other file."""
    try:
        rows = read_csv(path) if form == "csv" else iter(pyarrow()[1].read_table(path).to_pylist())
        for row in rows:
            if not (row.get("id") and row.get("digest")):
                raise KeyError("digest")
            yield dict(row) | ({"error": True} if row.get("error_code") else {})
    except OptionError:
        raise
    except Exception as error:  # pyarrow has many
        raise OptionError(
            f"{shown} was not written by mistralrs batch.",
            "Name another file with -o, or add --overwrite to lose what is in it.",
        ) from error


def read_csv(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a CSV, of texts alone; an empty cell is none."""
    limit = csv.field_size_limit(WIDEST)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {name: value for name, value in row.items() if value != ""}
    finally:
        csv.field_size_limit(limit)
