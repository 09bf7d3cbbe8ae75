"""The runner for programs with an event loop: nothing here blocks it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

from .batch import BatchProgress, BatchResult, OnError
from .chunks import Chunks
from .remote import RemoteRunner
from .requests import ChatCompletionRequest, CompletionRequest, of_kind
from .responses import ChatCompletionResponse, CompletionResponse
from .runner import Runner, close
from .transcription import Asked, TranscriptionResponse, recording


class AsyncRunner:
    """A ``Runner`` whose requests are awaited: ``async with AsyncRunner(which) as runner``.

    It takes what ``Runner`` takes, or a ``Runner`` or ``RemoteRunner`` that is there already. A model is loaded in a
    thread when the ``async with`` block is entered, or with the first request.

    >>> import asyncio
    >>> async def main():
    ...     asking = AsyncRunner(runner)
    ...     questions = [ChatCompletionRequest(text, max_tokens=2) for text in ("Hello", "Who are you?")]
    ...     return await asyncio.gather(*map(asking.send_chat_completion_request, questions))
    >>> [answer.usage.completion_tokens for answer in asyncio.run(main())]
    [2, 2]
    """

    def __init__(self, which: Any, *args: Any, **options: Any) -> None:
        self._made: Runner | RemoteRunner | None = which if isinstance(which, (Runner, RemoteRunner)) else None
        self._arguments = (which, *args), options
        self._loading = threading.Lock()

    async def runner(self) -> Runner | RemoteRunner:
        """The runner underneath; its model is loaded once."""
        import asyncio

        return await asyncio.to_thread(self._ready)

    def _ready(self) -> Runner | RemoteRunner:
        with self._loading:
            if self._made is None:
                args, options = self._arguments
                self._made = Runner(*args, **options)
            return self._made

    @overload
    async def send_chat_completion_request(
        self, request: ChatCompletionRequest[Literal[False]], model_id: str | None = None
    ) -> ChatCompletionResponse: ...
    @overload
    async def send_chat_completion_request(
        self, request: ChatCompletionRequest[Literal[True]], model_id: str | None = None
    ) -> Chunks: ...
    @overload
    async def send_chat_completion_request(
        self, request: ChatCompletionRequest[bool], model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks: ...
    async def send_chat_completion_request(
        self, request: ChatCompletionRequest[Any], model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks:
        """Answer a conversation: the whole response, or chunks for ``async for``. Cancelling the task stops it."""
        import asyncio

        of_kind(request, ChatCompletionRequest)
        runner = await self.runner()
        if request.stream or not isinstance(runner, Runner):
            return await asyncio.to_thread(runner.send_chat_completion_request, request, model_id)
        streams = await asyncio.to_thread(runner.begin, request, model_id)
        try:
            return await asyncio.to_thread(runner.whole, streams)
        except asyncio.CancelledError:
            close(streams)
            raise

    async def batch(
        self,
        requests: Iterable[ChatCompletionRequest[Any] | str],
        *,
        jobs: int | None = None,
        on_error: OnError = "skip",
        progress: Callable[[BatchProgress], object] | None = None,
    ) -> list[BatchResult]:
        """Answer many requests as ``Runner.batch`` does; cancelling the task stops them all.

        ``progress`` is called in another thread.
        """
        import asyncio

        batch = (await self.runner()).begun_batch(requests, jobs, on_error, progress)
        try:
            return await asyncio.to_thread(batch.run)
        except asyncio.CancelledError:
            batch.close()
            raise

    async def transcribe(
        self, audio: Any, *, model_id: str | None = None, **given: Unpack[Asked]
    ) -> TranscriptionResponse:
        """Write a recording down, as ``Runner.transcribe`` does; cancelling the task stops it after a window."""
        import asyncio

        runner, stopped = await self.runner(), threading.Event()
        policy = runner.speech_policy if isinstance(runner, Runner) else None
        asked = recording(audio, policy, stopped, **given)
        try:
            return await asyncio.to_thread(runner.transcribed, asked, model_id)
        except asyncio.CancelledError:
            stopped.set()
            raise

    async def send_completion_request(
        self, request: CompletionRequest, model_id: str | None = None
    ) -> CompletionResponse:
        """Go on with a text."""
        import asyncio

        return await asyncio.to_thread((await self.runner()).send_completion_request, request, model_id)

    def __repr__(self) -> str:
        made = "not loaded yet" if self._made is None else repr(self._made)
        return f"<AsyncRunner, {made}>"

    async def close(self) -> None:
        """Free the model's memory."""
        import asyncio

        if self._made is not None:
            await asyncio.to_thread(self._made.close)

    async def __aenter__(self) -> Self:
        await self.runner()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
