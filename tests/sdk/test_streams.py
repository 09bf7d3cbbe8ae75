"""A closed stream ends: for who closed it, for who waits in another thread, here and over HTTP."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from mistralrs import AsyncRunner, ChatCompletionRequest, Chunks, Runner
from mistralrs_cli.sdk.remote import RemoteRunner
from tests.server.conftest import Running

PATIENCE = 60.0
Either = Runner | RemoteRunner


@pytest.fixture(params=["here", "server"])
def either(request: pytest.FixtureRequest, runner: Runner, server: Running) -> Any:
    if request.param == "here":
        yield runner
    else:
        with Runner.connect(server.url) as remote:
            yield remote


def long(either: Either) -> Chunks:
    """An answer that goes on and on."""
    request = ChatCompletionRequest("Tell me", max_tokens=8000, ignore_eos=True, temperature=0, stream=True)
    return either.send_chat_completion_request(request)


def idle(runner: Runner) -> None:
    """Wait until no row is decoded."""
    assert runner._engine is not None
    for _ in range(1000):
        if not runner._engine.running and not runner._engine.waiting:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the row goes on")


def test_a_closed_stream_has_ended(either: Either, runner: Runner) -> None:
    chunks = long(either)
    next(chunks)
    chunks.close()
    assert list(chunks) == []
    with pytest.raises(StopIteration):
        next(chunks)
    chunks.close()
    idle(runner)


def test_closing_wakes_another_thread(either: Either, runner: Runner) -> None:
    chunks, ended = long(either), threading.Event()
    begun = threading.Event()

    def read() -> None:
        for _ in chunks:
            begun.set()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    assert begun.wait(PATIENCE)
    chunks.close()
    assert ended.wait(PATIENCE)
    idle(runner)


def test_closing_wakes_a_thread_that_waits_for_a_prompt_before_its_own(runner: Runner) -> None:
    """Nothing comes until there is a row: the reader sleeps, and only closing wakes it."""
    from mistralrs_cli.sdk.chunks import streamed

    class Silent:
        """A stream that the engine has not come to."""

        ended = False

        def on_ready(self, wake: Callable[[], None]) -> None:
            pass

        def ready_events(self) -> Any:
            return iter(())

        def close(self) -> None:
            self.ended = True

    chunks = streamed([Silent()], "m")  # type: ignore[list-item]
    next(chunks)
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(next(chunks, "the end")), daemon=True)
    reader.start()
    chunks.close()
    reader.join(PATIENCE)
    assert found == ["the end"]


def test_leaving_a_loop_early_and_dropping_the_stream(either: Either, runner: Runner) -> None:
    for _ in itertools.islice(long(either), 3):
        pass
    idle(runner)


def test_closing_the_connection_ends_its_streams(server: Running, runner: Runner) -> None:
    remote = Runner.connect(server.url)
    chunks = long(remote)
    next(chunks)
    remote.close()
    assert list(chunks) == []
    idle(runner)


def test_unloading_while_streaming_is_an_error_that_says_so() -> None:
    with Runner("demo", cpu=True) as runner:
        chunks = long(runner)
        next(chunks)
        runner.unload_model()
        with pytest.raises(RuntimeError, match="closed"):
            list(chunks)
        assert list(chunks) == []


@pytest.mark.parametrize("where", ["here", "server"])
def test_event_loops(where: str, runner: Runner, server: Running) -> None:
    """Closed by another task, left early, cancelled while it waits."""
    request = ChatCompletionRequest("Tell me", max_tokens=8000, ignore_eos=True, temperature=0, stream=True)

    async def main() -> None:
        either = runner if where == "here" else Runner.connect(server.url)
        asking = AsyncRunner(either)
        chunks = await asking.send_chat_completion_request(request)

        async def read() -> int:
            return len([chunk async for chunk in chunks])

        task = asyncio.create_task(read())
        await asyncio.sleep(0.2)
        chunks.close()
        async with asyncio.timeout(PATIENCE):
            await task
        async with aclosing(await asking.send_chat_completion_request(request)) as left:
            await anext(left)
        assert [chunk async for chunk in left] == []
        cancelled = await asking.send_chat_completion_request(request)
        task = asyncio.create_task(anyone(cancelled))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if where == "server":
            either.close()

    async def anyone(chunks: Chunks) -> int:
        return len([chunk async for chunk in chunks])

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await main()

    asyncio.run(bounded())
    idle(runner)
