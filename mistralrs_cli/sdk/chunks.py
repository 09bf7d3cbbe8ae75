"""A streamed answer, piece by piece, for a plain loop or an asynchronous one."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..events import Done
from ..protocol import ChunkChoices, head, together, usage
from .from_json import chat_chunk
from .problems import RequestError, RunnerError, translated
from .responses import ChatCompletionChunkResponse

if TYPE_CHECKING:
    from ..engine import EventStream


class Chunks(Iterator[ChatCompletionChunkResponse], AsyncIterator[ChatCompletionChunkResponse]):
    """The chunks of an answer, for ``for`` and ``async for``.

    Closing it, leaving its ``with`` block or dropping it stops the answer. Any thread may close it: one that waits
    for the next chunk finds the end.

    >>> with runner.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=4, stream=True)) as chunks:
    ...     said = [chunk.text for chunk in chunks]
    >>> len("".join(said)) > 0
    True
    >>> next(chunks, "the end")
    'the end'
    """

    def __init__(self, pieces: Iterator[dict[str, Any]], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self._close = close
        self._closed = False
        self._reading = threading.Lock()

    def __next__(self) -> ChatCompletionChunkResponse:
        """The next chunk; after the last one, or once closed, the end. Raises what ``Runner`` raises."""
        with self._reading:
            try:
                if self._closed:
                    raise StopIteration
                with translated():
                    piece = next(self._pieces)
            except (RequestError, RunnerError):
                if self._closed:  # of a connection that was cut under its reader
                    raise StopIteration from None
                raise
            if self._closed:
                raise StopIteration
        return chat_chunk(piece)

    async def __anext__(self) -> ChatCompletionChunkResponse:
        import asyncio

        try:
            found = await asyncio.to_thread(next, self, None)
        except asyncio.CancelledError:
            self.close()
            raise
        if found is None:
            raise StopAsyncIteration
        return found

    def close(self) -> None:
        """Stop the answer within a token. Nothing more comes; closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._close()

    async def aclose(self) -> None:
        """``close`` for ``contextlib.aclosing``."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Chunks, {'closed' if self._closed else 'open'}>"

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be ending
            self.close()


def streamed(streams: Sequence[EventStream], model: str) -> Chunks:
    """Begun answers as chunks."""
    news = threading.Event()

    def close() -> None:
        for stream in streams:
            stream.close()
        news.set()

    return Chunks(pieces(streams, model, news), close)


def pieces(streams: Sequence[EventStream], model: str, news: threading.Event) -> Iterator[dict[str, Any]]:
    """The answers' events as OpenAI's chunks, as they come; the last one carries the usage.

    ``news`` is set from other threads: by the engine when there is more, by who closes the streams.
    """
    first = head("chat.completion.chunk", model)
    choices = [ChunkChoices(index) for index in range(len(streams))]
    left, ends = dict(enumerate(streams)), list[Done]()
    for stream in streams:
        stream.on_ready(news.set)
    for choice in choices:
        yield first | {"choices": [choice.piece({"role": "assistant", "content": ""})]}
    while left:
        news.clear()
        for index, stream in list(left.items()):
            for event in stream.ready_events():
                if isinstance(event, Done):
                    ends.append(event)
                    del left[index]
                for piece in choices[index].of(event):
                    yield (
                        first
                        | {"choices": [piece]}
                        | ({"usage": usage(together(ends))} if isinstance(event, Done) and not left else {})
                    )
            if stream.ended:
                left.pop(index, None)
        if left:
            news.wait()
