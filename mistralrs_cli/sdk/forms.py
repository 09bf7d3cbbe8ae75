"""The form of an answer as Python says it: pydantic's models, dataclasses and other types, as JSON schemas."""

from __future__ import annotations

import json
import typing
from typing import Any

from .problems import AnswerCut, RequestError, RunnerError


def is_form(value: object) -> bool:
    """Whether it is a type (``Receipt``, ``list[Receipt]``, ``Literal["a", "b"]``) or pydantic's adapter of one."""
    return isinstance(value, type) or typing.get_origin(value) is not None or hasattr(value, "validate_json")


def schema_of(form: Any) -> dict[str, Any]:
    """The JSON schema of a type: of a class, its own fields and no others. Raises ``ValueError`` for one without.

    >>> schema_of(dict[str, int])["additionalProperties"]
    {'type': 'integer'}
    """
    import pydantic

    try:
        schema: dict[str, Any] = closed(adapter(form).json_schema())
    except (pydantic.errors.PydanticUserError, NameError, TypeError) as error:
        if "typing_extensions.TypedDict" in str(error):
            raise RequestError(
                f"{named(form)} is a TypedDict of typing, which cannot be read before Python 3.12.\n"
                "Import TypedDict from typing_extensions."
            ) from error
        raise RequestError(
            f"There is no JSON schema of {named(form)}: it holds a type that JSON has not.\n"
            "Use texts, numbers, lists, dictionaries, enums and classes of these."
        ) from error
    return schema


def closed(schema: Any) -> Any:
    """The schema with no other fields than a class has, where it does not say that there may be some."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


def adapter(form: Any) -> Any:
    """Pydantic's reader of a type."""
    import pydantic

    return form if hasattr(form, "validate_json") else pydantic.TypeAdapter(form)


def named(form: object) -> str:
    """What a type is called."""
    return form.__name__ if isinstance(form, type) else str(form)


def parsed(text: str | None, form: Any, reason: str) -> Any:
    """The JSON of an answer as plain values, or as an instance of ``form``.

    Raises ``AnswerCut`` where the answer ended at its limit, and ``RunnerError`` where it is not JSON of that form.
    """
    import pydantic

    if reason in ("length", "canceled"):
        raise AnswerCut("The answer was cut before its JSON was whole.\nAllow a longer one with max_tokens.")
    try:
        return json.loads(text or "") if form is None else adapter(form).validate_json(text or "")
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{place}: {first['msg']}" if place else first["msg"]
        raise RunnerError(
            f"The answer is not a {named(form)}: {what}\nGive the same class to response_format."
        ) from error
    except ValueError as error:
        raise RunnerError('The answer is not JSON.\nAsk for JSON: response_format={"type": "json_object"}.') from error
