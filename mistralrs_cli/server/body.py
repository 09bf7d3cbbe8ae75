"""Reading a request's body: within its limit, and off the event loop where it is long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ..errors import OptionError
from ..sizes import readable

LONG = 1 << 16  # bytes; parsing fewer is quicker than asking another thread
IDLE = 60.0  # seconds without a byte, and what the whole body may take beside
SLOWEST = 8192  # bytes a second


class Fields(BaseModel):
    """A JSON body: nothing is coerced, and a field that means nothing is refused by its name."""

    model_config = ConfigDict(extra="forbid", strict=True)


Body = TypeVar("Body", bound=Fields)


async def read(request: Request, limit: int) -> bytes:
    """The bytes of the body. Raises 408, 413, or ``ClientDisconnect``."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(limit)
    received = bytearray()
    chunks = request.stream()
    begun = time.monotonic()
    while True:
        left = begun + IDLE + len(received) / SLOWEST - time.monotonic()
        try:
            chunk = await asyncio.wait_for(anext(chunks, None), min(left, IDLE))
        except TimeoutError as error:
            raise HTTPException(
                408, f"The body did not arrive: {len(received)} bytes came so far.", headers={"Connection": "close"}
            ) from error
        if chunk is None:
            return bytes(received)
        received += chunk
        if len(received) > limit:
            raise too_large(limit)


def too_large(limit: int) -> HTTPException:
    """The error for a body over the limit; the connection closes, since the rest of it is not read."""
    message = f"The body is larger than {readable(limit)}; --max-body allows more."
    return HTTPException(413, message, headers={"Connection": "close"})


async def parse(request: Request, form: type[Body], limit: int) -> Body:
    """The body as ``form``. Raises ``OptionError`` with ``param`` for the first field that is wrong, or 415.

    A page in a browser may send text to any address unasked, but no JSON: so only JSON is read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, "The body must be JSON: send the header Content-Type: application/json.")
    data = await read(request, limit)
    if len(data) < LONG:
        return validate(form, data)
    return await asyncio.to_thread(validate, form, data)


def validate(form: type[Body], data: bytes) -> Body:
    """JSON text as ``form``."""
    try:
        return form.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = dotted(first["loc"])
        match first["type"]:
            case "json_invalid":
                raise OptionError(f"The body is not JSON: {first['msg']}.", "Check its commas and quotes.") from error
            case "extra_forbidden":
                message = f"{place} is not a field known here."
            case "missing":
                message = f"{place} is missing."
            case _:
                message = f"{place}: {first['msg']}." if place else f"The body is wrong: {first['msg']}."
        raise OptionError(message, param=place or None) from error


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


__all__ = ["ClientDisconnect", "Fields", "parse", "read"]
