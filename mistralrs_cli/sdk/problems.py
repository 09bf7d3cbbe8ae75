"""Errors as Python programs expect them: an invalid request is a ``ValueError``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import MistralrsError
from ..wording import in_python

PLAIN = (bool, int, float, str)


class RunnerError(RuntimeError):
    """A failure that the request is not to blame for: the message says what happened and, in its next line, what to do.

    >>> runner.unload_model()
    >>> try:
    ...     runner.send_chat_completion_request(ChatCompletionRequest("Hello"))
    ... except RunnerError as error:
    ...     print(error)
    demo is not loaded.
    Call reload_model() first.
    >>> runner.reload_model()
    """


class AnswerCut(RunnerError):
    """An answer of a given form that ended before it was whole.

    >>> request = ChatCompletionRequest("Count.", response_format=list[int], max_tokens=1)
    >>> try:
    ...     runner.send_chat_completion_request(request).parse()
    ... except AnswerCut as error:
    ...     print(error)
    The answer was cut before its JSON was whole.
    Allow a longer one with max_tokens.
    """


class RequestError(ValueError):
    """An invalid model, request or medium: the message says what is wrong and, in its next line, what to do.

    >>> try:
    ...     runner.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=0))
    ... except RequestError as error:
    ...     print(error)
    max_tokens must be at least 1, or -1 for no limit, not 0.
    """


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors as ``ValueError`` or ``RuntimeError``, in Python's words and with the hint in the message."""
    try:
        yield
    except MistralrsError as error:
        kind = RequestError if error.http_status < 500 else RunnerError
        raise kind(in_python("\n".join(filter(None, (error.message, error.hint))))) from error


def refuse_unknown(holder: object, names: Iterable[str]) -> None:
    """Raise ``ValueError`` where something is set that there is nothing of here."""
    refuse({name: getattr(holder, name) for name in names})


def refuse(values: dict[str, Any]) -> None:
    """Raise ``ValueError`` for each value that is set: ignoring it would be worse."""
    found = [name for name, value in values.items() if not (value is None or (isinstance(value, PLAIN) and not value))]
    if found:
        raise RequestError(f"{found[0]} is a parameter of mistral.rs that does nothing here.\nLeave it out.")


def refuse_halves(value: Any, place: str) -> None:
    """Raise ``ValueError`` for text that holds half of a character: bytes that were decoded wrongly, a cut emoji."""
    if isinstance(value, str):
        half = next((letter for letter in value if "\ud800" <= letter <= "\udfff"), None)
        if half is not None:
            raise RequestError(
                f"{place} holds half a character (U+{ord(half):04X}), which is not text.\n"
                "Decode the text as UTF-8, and cut it between characters."
            )
    elif isinstance(value, dict):
        for name, each in value.items():
            refuse_halves(each, f"{place}.{name}")
    elif isinstance(value, list) and not (value and isinstance(value[0], float)):
        for index, each in enumerate(value):
            refuse_halves(each, f"{place}[{index}]")
