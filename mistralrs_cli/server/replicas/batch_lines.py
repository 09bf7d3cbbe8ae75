"""Lines of the front's batch jobs, answered by replicas as requests would be, behind those that are interactive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from pydantic_core import from_json

from ...batch.written import line as json_line
from ...errors import EngineDown, GenerationError, Overloaded, ShuttingDown
from ...events import Usage
from ..jobs.answer import LineAnswer
from ..jobs.records import Batch
from .forwarded import LOG, ForwardedRequest
from .front_service import FrontService
from .protocol import ELSEWHERE, ReplicaLost, Replicas


class ForwardedLines:
    """Answers lines by the replicas behind a front; each goes to the one that has least to do."""

    def __init__(self, service: FrontService) -> None:
        self._service = service

    async def __call__(self, batch: Batch, value: Mapping[str, Any], request_id: str) -> LineAnswer:
        """The response of a replica. Raises what has the line asked again later: none is there, or all are full."""
        service = self._service
        if service.draining:
            raise ShuttingDown("The server is shutting down.", "Try again later.")
        if (replicas := service.replicas) is None:
            raise EngineDown("No replica is there yet.", "Try again later.")
        data = await asyncio.to_thread(json_line, value)
        request = ForwardedRequest.of_line(batch.endpoint, data, request_id, local_files=batch.local_files)
        named = value.get("model")
        place = service.place(named if isinstance(named, str) else None)
        status, body, facts = await response_of(replicas, request, place)
        if status in ELSEWHERE:
            raise Overloaded("No replica has room for a line of a batch.", "Try again later.", retry_after=1)
        if status >= 500:
            raise GenerationError(await asyncio.to_thread(message_of, body), "Try again.")
        return LineAnswer(await asyncio.to_thread(from_json, body), usage_of(facts), status)


async def response_of(
    replicas: Replicas, request: ForwardedRequest, place: int | None
) -> tuple[int, bytes, Mapping[str, Any]]:
    """Status and body of a replica's answer, and what its log says of it. Raises ``EngineDown`` where it was lost."""
    status, body = 503, b""
    facts: dict[str, Any] = {}
    try:
        async with aclosing(replicas.answer(request, None, (), place)) as messages:
            async for message in messages:
                match message["type"]:
                    case "http.response.start":
                        status = message["status"]
                    case "http.response.body":
                        body += message.get("body", b"")
                    case kind if kind == LOG:
                        facts |= message["facts"]
    except ReplicaLost as error:
        raise EngineDown("The replica that was answering a line has ended.", "Try again later.") from error
    return status, body, facts


def message_of(body: bytes) -> str:
    """What an error's response says."""
    try:
        found = from_json(body)
    except ValueError:
        return "A replica failed on this line."
    error = found.get("error", {}) if isinstance(found, dict) else {}
    return str(error.get("message", "A replica failed on this line."))


def usage_of(facts: Mapping[str, Any]) -> Usage:
    """The tokens that a replica's log names."""
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    return Usage(**{name: int(facts.get(name, 0)) for name in names})
