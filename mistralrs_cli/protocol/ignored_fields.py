"""Which fields of a request are read, which are empty, and which are ignored.

One rule for all interfaces: a null, an empty list or an empty object is no field; an unknown field is ignored and its
name returned to the client, or with ``--strict`` an error. Each interface's schema says which known fields are hints
without effect.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from typing import Any

from ..errors import OptionError

LONGEST = 80  # characters of a name
MOST = 64  # names of one request
MEANT: dict[str, Any] = {"content": [], "dry_sequence_breakers": [], "schema": {}, "value": {}}
"""Fields whose empty value means something: no text, no breakers, anything at all."""
OPAQUE = frozenset(
    {"parameters", "input_schema", "schema", "arguments", "value", "chat_template_kwargs", "metadata", "logit_bias"}
)
"""Fields whose inside is the client's own: a schema's ``{}`` and ``null`` have meanings, and so have a function's."""
OPAQUE_IN = {"tool_use": "input"}  # by the type of the object that holds it


class IgnoredFields:
    """The names of one request's ignored fields, in the order in which they were found."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.names: dict[str, None] = {}

    def add(self, place: str) -> None:
        """Add a field by its place: ``messages[3].mood`` as ``messages[].mood``, in ASCII."""
        name = re.sub(r"\[\d+\]", "[]", place)
        name = "".join(letter if "!" <= letter <= "~" and letter not in ",;=" else "?" for letter in name)
        if len(self.names) < MOST:
            self.names[name[:LONGEST]] = None


IGNORED: ContextVar[IgnoredFields | None] = ContextVar("ignored", default=None)


def ignore_field(
    place: str, what: str = "is not a field known here.", hint: str | None = None, *, note: str | None = None
) -> None:
    """Ignore a field that is unknown, or known and not available here, as a tool that a server would run.

    Its name is ``note``, or else its place. Raises ``OptionError`` where nothing collects the names, or with
    ``--strict``.
    """
    ignored = IGNORED.get()
    if ignored is None or ignored.strict:
        raise OptionError(f"{place} {what}", hint, param=place)
    ignored.add(note or place)


def is_empty(value: object) -> bool:
    """Whether a field with this value is no field."""
    return value is None or value == [] or value == {}


def without_empty(value: Any, required: Collection[str] = ()) -> Any:
    """A JSON value without empty fields, at any depth; what is the client's own (``OPAQUE``) stays as it is.

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
