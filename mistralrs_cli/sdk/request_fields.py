"""From the parameters of a request to OpenAI's fields: single values become lists, classes become schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..media.from_python import is_number
from ..protocol.sampling import GRAMMARS
from .forms import is_form, named, schema_of
from .problems import RequestError, refuse_halves
from .values import NUMBERS, instance, number, several

JSON_SCHEMA = "json_schema"
DICTIONARIES = ("response_format", "chat_template_kwargs")


def given_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are given. Raises ``ValueError`` for text that is none."""
    found = {name: value for name, value in fields.items() if value is not None}
    for name, value in found.items():
        refuse_halves(value, name)
        if name in NUMBERS:
            found[name] = number(value, name)
        elif name in DICTIONARIES:
            found[name] = instance(value, Mapping, name)
    return found


def turns(messages: Any) -> Any:
    """Messages as lists and dictionaries: a single one, answers as they came, and content that is one value."""
    if messages is None or isinstance(messages, str):
        return messages
    found = []
    for turn in several(messages):
        turn = turn.model_dump(exclude_none=True) if hasattr(turn, "model_dump") else turn
        if isinstance(turn, Mapping):
            turn = dict(turn)
            content = turn.get("content")
            if isinstance(content, tuple) and not any(is_number(each) for each in content):
                turn["content"] = list(content)
            elif content is not None and not isinstance(content, (str, list)):
                turn["content"] = [content]
        found.append(turn)
    return found


def stops(one: str | Sequence[str] | None, other: str | Sequence[str] | None) -> list[str] | None:
    """The stop strings under either name."""
    if one is None and other is None:
        return None
    first, second = several(one), several(other)
    if first and second and first != second:
        raise RequestError("stop and stop_seqs are two names of one thing.\nGive one of them.")
    found = first or second
    return [instance(each, str, "stop") for each in found]


def breakers(given: str | Sequence[str] | None) -> list[str] | None:
    """The texts that a repetition does not reach over."""
    return None if given is None else [instance(each, str, "dry_sequence_breakers") for each in several(given)]


def functions(given: Any) -> list[dict[str, Any]]:
    """The functions in one of ``tool_schemas``: a dictionary, a JSON text of one or of a list, a pydantic model."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise RequestError(f"tool_schemas: {given!r:.60} is not JSON.\nCheck its commas and quotes.") from error
        return [tool for each in (given if isinstance(given, list) else [given]) for tool in functions(each)]
    if is_form(given):
        schema = schema_of(given)
        return [{"name": named(given), "description": schema.pop("description", ""), "parameters": schema}]
    if not isinstance(given, Mapping):
        raise RequestError(f"tool_schemas holds a {type(given).__name__}.\nGive dictionaries, JSON or pydantic models.")
    return [dict(given)]


def response_format(given: Any) -> Any:
    """OpenAI's ``response_format``, also from a class."""
    if not is_form(given):
        return given
    name = "".join(letter if letter.isalnum() else "_" for letter in named(given))
    return {"type": JSON_SCHEMA, JSON_SCHEMA: {"name": name, "schema": schema_of(given), "strict": True}}


def grammar(value: Any, kind: str | None) -> dict[str, str] | None:
    """A grammar and its type, which come together; a class or a dictionary is a JSON schema."""
    if is_form(value):
        value = schema_of(value)
    if isinstance(value, Mapping):
        value, kind = json.dumps(value), kind or JSON_SCHEMA
    if value is None and kind is None:
        return None
    if value is None or kind is None:
        raise RequestError(
            f"grammar and grammar_type belong together.\nGive both: grammar_type is {' or '.join(GRAMMARS)}."
        )
    if kind not in GRAMMARS:
        raise RequestError(f"grammar_type is {kind!r:.40}.\nUse {' or '.join(GRAMMARS)}.")
    if not isinstance(value, str):
        raise RequestError(f"grammar is {value!r:.40}.\nGive it as text; a JSON schema may be a dictionary or a class.")
    refuse_halves(value, "grammar")
    return {"type": kind, "value": value}


def bias(value: Mapping[int, float] | None) -> dict[str, float] | None:
    """Token ids as JSON's names."""
    return None if value is None else {str(token): number(amount, "logit_bias") for token, amount in value.items()}
