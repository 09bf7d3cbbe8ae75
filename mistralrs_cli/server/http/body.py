"""Reading a request's body: within its limit, and off the event loop where it is long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ...errors import OptionError
from ...options import ServerOptions
from ...protocol.ignored_fields import IGNORED, IgnoredFields, ignore_field, without_empty
from ...sizes import readable

LONG = 1 << 16  # bytes; parsing fewer is quicker than asking another thread
IDLE = 60.0  # seconds without a byte, and what the whole body may take beside
SLOWEST = 8192  # bytes a second
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Fields(BaseModel):
    """A JSON body: nothing is coerced, and unknown fields are ignored fields.

    ``unsupported`` are fields that would change the answer and that the server cannot honour, with the values that
    change nothing.
    """

    model_config = ConfigDict(extra="allow", strict=True)
    unsupported: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    @classmethod
    def required(cls) -> frozenset[str]:
        """The fields that a body must have."""
        return frozenset(name for name, field in cls.model_fields.items() if field.is_required())

    def check(self, place: str = "") -> None:
        """Ignore fields that are not known, here and inside. Raises ``OptionError`` for those in ``unsupported``."""
        for name, value in (self.model_extra or {}).items():
            where = f"{place}{name}"
            if name not in self.unsupported:
                ignore_field(where)
            elif value not in self.unsupported[name]:
                raise OptionError(f"{where} is not supported here.", "Leave it out.", param=where)
        for name in type(self).model_fields:
            if isinstance(inner := getattr(self, name), Fields):
                inner.check(f"{place}{name}.")

    @classmethod
    async def from_request(cls, request: Request, options: ServerOptions) -> Self:
        """The body of a request. Raises ``OptionError`` with ``param`` for the first field that is wrong, or 415.

        A page in a browser may send text to any address without asking, but no JSON: so only JSON is read. From here on
        the ignored fields of this request are collected in its state.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise HTTPException(415, "The body must be JSON: send the header Content-Type: application/json.")
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise HTTPException(415, f"Content-Encoding {encoding} is not supported: send the body uncompressed.")
        collect_ignored_fields(request, options)
        data = await read(request, options.body)
        return cls.read_json(data) if len(data) < LONG else await asyncio.to_thread(cls.read_json, data)

    @classmethod
    def read_json(cls, data: bytes) -> Self:
        """JSON text as a body. Raises ``OptionError``."""
        try:
            value = from_json(data.removeprefix(BYTE_ORDER_MARK), allow_inf_nan=False)
        except ValueError as error:
            raise OptionError(f"The body is not JSON: {error}.", "Check its commas and quotes.") from error
        try:
            found = cls.model_validate(without_empty(value, cls.required()))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = dotted(first["loc"])
            if first["type"] == "missing":
                message = f"{place} is missing."
            else:
                message = f"{place}: {first['msg']}." if place else f"The body is wrong: {first['msg']}."
            raise OptionError(message, param=place or None) from error
        found.check()
        return found


async def read(request: Request, limit: int) -> bytes:
    """The bytes of the body. Raises 408, 413, or ``ClientDisconnect``."""
    received = bytearray()
    async for chunk in pieces(request, limit):
        received += chunk
    return bytes(received)


async def pieces(request: Request, limit: int) -> AsyncGenerator[bytes]:
    """The body as it arrives. Raises what ``read`` does."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(limit)
    received = 0
    chunks = request.stream()
    begun = time.monotonic()
    while True:
        left = begun + IDLE + received / SLOWEST - time.monotonic()
        try:
            async with asyncio.timeout(min(left, IDLE)):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise HTTPException(
                408,
                f"The body did not arrive in time, but {received} bytes of it.",
                headers={"Connection": "close"},
            ) from error
        if chunk is None:
            return
        received += len(chunk)
        if received > limit:
            raise too_large(limit)
        yield chunk


def too_large(limit: int) -> HTTPException:
    """The error for a body over the limit; the connection closes, since the rest of it is not read."""
    message = f"The body is larger than {readable(limit)}; --max-body allows more."
    return HTTPException(413, message, headers={"Connection": "close"})


def collect_ignored_fields(request: Request, options: ServerOptions) -> None:
    """Collect the ignored fields of this request in its state; with ``--strict`` they are errors."""
    request.state.ignored = IgnoredFields(strict=options.strict)
    IGNORED.set(request.state.ignored)


def dotted(location: Sequence[int | str]) -> str:
    """``("stop", 0)`` → ``stop[0]``; names of alternatives in a union are left out."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier() and not step.startswith(("function", "json", "list", "dict", "str")):
            text += f".{step}" if text else step
        elif not text:
            text = step
    return text


def inlined(form: type[Fields]) -> dict[str, Any]:
    """A body's JSON schema with its definitions in the places that refer to them."""
    schema = form.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolved(value) for key, value in node.items()}
        return [resolved(item) for item in node] if isinstance(node, list) else node

    found: dict[str, Any] = resolved(schema)
    return found
