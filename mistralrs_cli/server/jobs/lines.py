"""The lines of a batch's input file, and those of its output and error files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from ...batch.bodies import envelope, is_batch_line
from ...batch.records import Record, json_lines
from ...batch.written import line as json_line
from ...errors import EngineDown, OptionError, Overloaded, ShuttingDown
from ..http import errors
from .records import Batch, LineResult, new_id

MOST_ERRORS = 100  # of an input file that are listed
ENDED = {
    "expired": "This line could not be answered before the completion window ended.",
    "cancelled": "The batch was cancelled before this line was answered.",
}


def lines(path: Path) -> Iterator[Record]:
    """The lines of an input file that are not blank."""
    with path.open("rb") as file:
        yield from json_lines(file)


def check_input(path: Path, endpoint: str, most: int) -> tuple[int, list[dict[str, Any]]]:
    """How many lines there are, and what is wrong with them, as OpenAI says it."""
    found: list[dict[str, Any]] = []
    names: set[str] = set()
    count = 0
    for record in lines(path):
        count += 1
        if count > most:
            return count, [problem("too_many_tasks", None, f"The file has more than {most:,} lines.")]
        wrong = check_line(record, endpoint, names)
        if wrong is not None and len(found) < MOST_ERRORS:
            found.append(wrong)
    return count, found if count else [problem("empty_file", None, "The file has no lines.")]


def check_line(record: Record, endpoint: str, names: set[str]) -> dict[str, Any] | None:
    """What is wrong with a line apart from its body, if anything; ``names`` are the ids before it."""
    number = record.number
    if record.error is not None:
        return problem("invalid_json_line", number, record.error.message)
    value = record.value
    if not is_batch_line(value):
        return problem("missing_required_parameter", number, "A line has custom_id, method, url and body.")
    try:
        name, body = envelope(value, endpoint)
    except OptionError as error:
        code = {"url": "mismatched_endpoint", "method": "invalid_method"}.get(error.param or "", "invalid_line")
        return problem(code, number, error.message, error.param)
    if name in names:
        return problem("duplicate_custom_id", number, f"custom_id {name[:80]!r} is there twice.", "custom_id")
    names.add(name)
    if body.get("stream"):
        return problem("invalid_request", number, "A batch has no streams.", "body.stream")
    return None


def problem(code: str, line: int | None, message: str, param: str | None = None) -> dict[str, Any]:
    """One entry of a batch's ``errors``."""
    return {"code": code, "line": line, "message": message, "param": param}


def answer_line(custom_id: str, response: Mapping[str, Any] | str, request_id: str, status: int = 200) -> bytes:
    """A line of the output file, or of the error file where the status is that of an error."""
    return whole_line(custom_id, {"status_code": status, "request_id": request_id, "body": response}, None)


def error_line(custom_id: str, error: Exception, path: str, request_id: str) -> bytes:
    """A line of the error file for a request that was wrong or failed: the response it would have had."""
    response = {
        "status_code": errors.details(error)[0],
        "request_id": request_id,
        "body": errors.body(error, path, request_id),
    }
    return whole_line(custom_id, response, None)


def unanswered(batch: Batch, record: Record) -> LineResult:
    """The line of the error file for a line that was never answered."""
    text = ENDED[batch.end]
    name = record.value["custom_id"]
    line = whole_line(name, None, {"code": f"batch_{batch.end}", "message": text})
    return LineResult(record.number, failed=True, line=line)


def whole_line(custom_id: str, response: Mapping[str, Any] | None, error: Mapping[str, Any] | None) -> bytes:
    """A line of either file."""
    return json_line({"id": new_id("batch_req_"), "custom_id": custom_id, "response": response, "error": error})


def transient(error: Exception) -> bool:
    """Whether the same request may be answered later: the server is busy, loading, or about to end."""
    loading = isinstance(error, HTTPException) and error.status_code == 503
    return loading or isinstance(error, Overloaded | EngineDown | ShuttingDown)
