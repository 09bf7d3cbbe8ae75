"""One line of a batch, answered by the models of this process; a front has replicas do it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...batch.written import line as json_line
from ...events import Usage
from ...protocol.ignored_fields import IGNORED, IgnoredFields
from ..caller import Caller
from ..exchange import Interface, whole
from ..http.auth import allowed_roots
from ..http.body import Fields
from ..service import Service
from .records import Batch


@dataclass(frozen=True)
class LineAnswer:
    """The response to a line: its status, its body and the tokens it took."""

    body: Mapping[str, Any] | str
    usage: Usage
    status: int = 200


AnswerLine = Callable[[Batch, Mapping[str, Any], str], Awaitable[LineAnswer]]
"""Answers a line of a batch, given its body and the id of its request. Raises what was wrong with it."""


class LinesHere:
    """Answers lines by the models of a service. ``interfaces`` are the endpoints that lines may name, by path."""

    def __init__(self, service: Service, interfaces: Mapping[str, Interface[Any]]) -> None:
        self._service = service
        self._interfaces = interfaces
        self._preparing = asyncio.Semaphore(1)  # so that no more than one thread's time goes into their media

    async def __call__(self, batch: Batch, value: Mapping[str, Any], request_id: str) -> LineAnswer:
        """The response, with its usage."""
        service = self._service
        interface = self._interfaces[batch.endpoint]
        IGNORED.set(IgnoredFields(strict=service.options.strict))
        form: type[Fields] = interface.body
        async with self._preparing:
            body = await asyncio.to_thread(form.read_json, json_line(value))
            model = service.model(getattr(body, "model", None))
            caller = Caller(allowed_roots(service.options, local=batch.local_files), priority="batch")
            to_request = partial(interface.to_request, body, model)
            streams = await service.begin(to_request, caller, interface.count(body), model=model)
        response = await whole(body, model.name, interface, streams)
        return LineAnswer(response, streams.total().usage)
