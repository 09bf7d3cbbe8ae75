"""One request and its response, whatever the interface: parse, begin, answer whole or as a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..errors import MistralrsError
from ..events import Event
from ..options import ServerOptions
from .caller import BATCH_LINE, Caller
from .generation_request import GenerationRequest
from .http.auth import allowed_roots, media_roots
from .http.sse import EventStreamResponse, cancel_on_disconnect
from .response_streams import ResponseStreams
from .served_model import ServedModel
from .service import Service


class Body(Protocol):
    """The body of a request, checked field by field."""

    @classmethod
    async def from_request(cls, request: Request, options: ServerOptions) -> Self:
        """Read and check it. Raises what is wrong with its fields."""
        ...

    @property
    def model(self) -> str | None:
        """The model's name, as the client gave it."""
        ...

    @property
    def stream(self) -> bool | None:
        """Whether the response is a stream of server-sent events."""
        ...


class ResponseFormat(ABC):
    """The response to one request in the format of one interface: ``whole``, or the chunks of a stream."""

    @abstractmethod
    def whole(self, events: Sequence[Sequence[Event]]) -> dict[str, Any] | str:
        """The response, from the events of each answer: JSON, or plain text."""

    def begin(self) -> Iterator[bytes]:
        """The chunks before any event; none unless an interface has some."""
        yield from ()

    @abstractmethod
    def chunk(self, index: int, event: Event) -> Iterator[bytes]:
        """The chunks of one event of one answer."""

    @abstractmethod
    def error(self, error: MistralrsError) -> Iterator[bytes]:
        """The chunks that end a stream which failed."""

    def end(self) -> Iterator[bytes]:
        """The chunks that end a stream otherwise; none unless an interface has some."""
        yield from ()


AnyBody = TypeVar("AnyBody", bound=Body)


def one(_: Body) -> int:
    """One answer."""
    return 1


@dataclass(frozen=True)
class Interface(Generic[AnyBody]):
    """One HTTP interface: what its body asks for, and what its response looks like.

    ``to_request`` runs in a worker thread and raises what is wrong with the conversation. ``count`` is how many answers
    a body asks for, known without reading its conversation. ``name`` is the route's.
    """

    name: str
    body: type[AnyBody]
    to_request: Callable[[AnyBody, ServedModel], GenerationRequest]
    response: Callable[[AnyBody, str, ResponseStreams], ResponseFormat]
    count: Callable[[AnyBody], int] = one


async def exchange(http_request: Request, service: Service, interface: Interface[AnyBody]) -> Response:
    """Answer one request. It is cancelled when its client leaves."""
    body = await interface.body.from_request(http_request, service.options)
    model = service.model(body.model)
    caller = caller_of(http_request, service, model)
    keep = service.kept(model, getattr(body, "keep_alive", None))

    with ExitStack() as undo:

        async def answer() -> Response:
            to_request = partial(interface.to_request, body, model)
            streams = await service.begin(to_request, caller, interface.count(body), model=model, keep=keep)
            undo.callback(streams.close)
            if body.stream:
                response = interface.response(body, model.name, streams)
                return EventStreamResponse(chunks(response, streams), streams.close)
            found = await whole(body, model.name, interface, streams)
            return PlainTextResponse(found) if isinstance(found, str) else JSONResponse(found)

        response = await cancel_on_disconnect(http_request, answer)
        undo.pop_all()  # from here on the response closes them
    return response


async def whole(
    body: AnyBody, model: str, interface: Interface[AnyBody], streams: ResponseStreams
) -> dict[str, Any] | str:
    """The whole response, once all answers have ended."""
    with closed_on_failure(streams):
        return interface.response(body, model, streams).whole(await streams.all_events())


@contextmanager
def closed_on_failure(streams: ResponseStreams) -> Iterator[None]:
    """Cancel the answers where something goes wrong in the block."""
    try:
        yield
    except BaseException:
        streams.close()
        raise


async def chunks(response: ResponseFormat, streams: ResponseStreams) -> AsyncGenerator[bytes]:
    """The server-sent events of a response."""
    for chunk in response.begin():
        yield chunk
    try:
        async with aclosing(streams.events()) as events:
            async for index, event in events:
                for chunk in response.chunk(index, event):
                    yield chunk
    except MistralrsError as error:
        for chunk in response.error(error):
            yield chunk
        return
    for chunk in response.end():
        yield chunk


def caller_of(http_request: Request, service: Service, model: ServedModel) -> Caller:
    """Who sends a request to a model. Its log fields reach the log line that the middleware writes."""
    options, fields = service.options, dict[str, object](model=model.name)
    local = http_request.scope["state"].get(BATCH_LINE)
    if local is None:
        caller = Caller(media_roots(http_request, options), fields, uploaded=service.uploaded(http_request))
    else:
        caller = Caller(allowed_roots(options, local=local), fields, priority="batch")
    http_request.state.log_fields = caller.log_fields
    return caller
