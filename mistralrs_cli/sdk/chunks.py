"""A streamed answer, piece by piece, for a plain loop or an asynchronous one."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..events import Done
from ..protocol import ChunkChoices, head, together, usage
from .problems import translated
from .responses import ChatCompletionChunkResponse, chat_chunk

if TYPE_CHECKING:
    from ..engine import EventStream


class Chunks(Iterator[ChatCompletionChunkResponse], AsyncIterator[ChatCompletionChunkResponse]):
    """The chunks of an answer. Closing it, leaving its ``with`` block or dropping it stops the answer."""

    def __init__(self, pieces: Iterator[dict[str, Any]], close: Any) -> None:
        self._pieces = pieces
        self._close = close

    def __next__(self) -> ChatCompletionChunkResponse:
        with translated():
            return chat_chunk(next(self._pieces))

    async def __anext__(self) -> ChatCompletionChunkResponse:
        import asyncio

        found = await asyncio.to_thread(next, self, None)
        if found is None:
            raise StopAsyncIteration
        return found

    def close(self) -> None:
        """Stop the answer within a token."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be ending
            self.close()


def pieces(streams: list[EventStream], model: str) -> Iterator[dict[str, Any]]:
    """The answers' events as OpenAI's chunks, as they come; the last one carries the usage."""
    first = head("chat.completion.chunk", model)
    choices = [ChunkChoices(index) for index in range(len(streams))]
    news, left, ends = threading.Event(), dict(enumerate(streams)), list[Done]()
    for stream in streams:
        stream.on_news(news.set)
    for choice in choices:
        yield first | {"choices": [choice.piece({"role": "assistant", "content": ""})]}
    while left:
        news.clear()
        for index, stream in list(left.items()):
            for event in stream.arrived():
                if isinstance(event, Done):
                    ends.append(event)
                    del left[index]
                for piece in choices[index].of(event):
                    yield (
                        first
                        | {"choices": [piece]}
                        | ({"usage": usage(together(ends))} if isinstance(event, Done) and not left else {})
                    )
        if left:
            news.wait()
