"""What is read of a request: fields that are known, fields that say nothing, fields that are passed over.

One rule for all interfaces. A null, an empty list or an empty object is no field. A field that nobody knows is passed
over and noted, or refused where whoever reads wants that. What is a hint, and what would change the answer, stands
beside each interface's fields.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..errors import OptionError

LONGEST = 80  # characters of a noted name
MOST = 64  # names that are noted of one request
MEANT: dict[str, Any] = {"content": [], "dry_sequence_breakers": [], "schema": {}, "value": {}}
"""Fields of which this very value says something: no words, no breakers, anything at all."""
OPAQUE = frozenset(
    {"parameters", "input_schema", "schema", "arguments", "value", "chat_template_kwargs", "metadata", "logit_bias"}
)
"""Fields whose inside is the client's own: a schema's ``{}`` and ``null`` have meanings, and so have a function's."""
OPAQUE_IN = {"tool_use": "input"}  # by the type of the object that holds it


class IgnoredFields:
    """The fields of one request that were passed over, in the order in which they were found."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.names: dict[str, None] = {}

    def add(self, place: str) -> None:
        """Note a field by its place: ``messages[3].mood`` as ``messages[].mood``, in plain letters."""
        name = re.sub(r"\[\d+\]", "[]", place)
        name = "".join(letter if "!" <= letter <= "~" and letter not in ",;=" else "?" for letter in name)
        if len(self.names) < MOST:
            self.names[name[:LONGEST]] = None


IGNORED: ContextVar[IgnoredFields | None] = ContextVar("reading", default=None)


@contextmanager
def noting(noted: IgnoredFields) -> Iterator[None]:
    """Have ``ignore_field`` note unknown fields there, in this context and those copied from it."""
    token = IGNORED.set(noted)
    try:
        yield
    finally:
        IGNORED.reset(token)


def ignore_field(
    place: str, what: str = "is not a field known here.", hint: str | None = None, *, note: str | None = None
) -> None:
    """Pass over a field that is not known, or what is known but cannot be had here, as a tool that a server would run.

    It is noted as ``note``, or else by its place. Raises ``OptionError`` where nothing notes it, or where whoever reads
    wants it refused.
    """
    noted = IGNORED.get()
    if noted is None or noted.strict:
        raise OptionError(f"{place} {what}", hint, param=place)
    noted.add(note or place)


def is_empty(value: object) -> bool:
    """Whether a field with this value is no field."""
    return value is None or value == [] or value == {}


def without_empty(value: Any, required: Collection[str] = ()) -> Any:
    """A JSON value without the fields that say nothing, at any depth; what is the client's own stays as it is.

    Of the outermost object the ``required`` fields stay, empty or not, but for null.
    """
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    own = OPAQUE_IN.get(kind) if isinstance(kind := value.get("type"), str) else None
    found = {}
    for name, inner in value.items():
        if inner is None or (is_empty(inner) and not (name in required or name == own or MEANT.get(name) == inner)):
            continue
        found[name] = inner if name in OPAQUE or name == own else without_empty(inner)
    return found
