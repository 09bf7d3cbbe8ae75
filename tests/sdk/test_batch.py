"""``Runner.batch``: many requests, a result for each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistralrs import AsyncRunner, BatchProgress, BatchResult, ChatCompletionRequest, RequestError, Runner, RunnerError
from mistralrs_cli.sdk import batch
from mistralrs_cli.sdk.batch import Batch, Plain
from tests.server.conftest import Running


def questions(samples: Path) -> list[ChatCompletionRequest | str]:
    """Three that can be answered, and one that cannot."""
    return [
        ChatCompletionRequest("What is this?", images=samples / "red_circle.png", temperature=0.0, max_tokens=8),
        ChatCompletionRequest("What is this?", images="missing.png"),
        "Hello",
        ChatCompletionRequest("What is this?", images=samples / "shapes.png", temperature=0.0, max_tokens=8),
    ]


def check(results: list[BatchResult], alone: str) -> None:
    """All are there, in order."""
    assert [result.index for result in results] == [0, 1, 2, 3]
    assert [result.error is None for result in results] == [True, False, True, True]
    assert results[0].text == alone
    assert isinstance(results[1].error, RequestError)
    with pytest.raises(RequestError, match=r"missing\.png"):
        print(results[1].text)


@pytest.mark.slow
def test_answers_are_those_of_each_alone(runner: Runner, server: Running, samples: Path) -> None:
    asked = questions(samples)
    first = asked[0]
    assert isinstance(first, ChatCompletionRequest)
    alone = runner.send_chat_completion_request(first).text
    told: list[BatchProgress] = []
    check(runner.batch(asked, progress=told.append), alone)
    assert [each.done for each in told] == [1, 2, 3, 4]
    assert (told[-1].total, told[-1].failed, told[-1].seconds_left) == (4, 1, 0.0)
    check(asyncio.run(AsyncRunner(runner).batch(iter(asked), jobs=1)), alone)
    with Runner.connect(server.url) as remote:
        check(remote.batch(asked), alone)


def answers(*outcomes: Any) -> Plain:
    """Gives one after the other, and raises errors."""
    left = iter(outcomes)
    lock = threading.Lock()

    def answer(request: object) -> Any:
        with lock:
            found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return Plain(answer)


def test_the_first_error_stops_the_others() -> None:
    asked = ["a", "b", "c", "d"]
    with pytest.raises(RunnerError, match="broken"):
        Batch(answers("x", RunnerError("broken"), "y", "z"), asked, 1, "stop", None).run()


def test_an_error_that_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "PAUSE", 0.0)
    error = RunnerError("for now")
    results = Batch(answers(error, error, "x", error, error, error), ["a", "b"], 1, "retry", None).run()
    assert [(result.response, result.error) for result in results] == [("x", None), (None, error)]


def test_requests_are_read_no_further_than_needed() -> None:
    read = []

    def many() -> Iterator[str]:
        for number in range(50):
            read.append(number)
            yield str(number)

    ahead = []
    Batch(answers(*range(50)), many(), 3, "skip", lambda done: ahead.append(len(read) - done.done)).run()
    assert max(ahead) <= 3
    assert len(read) == 50


def test_a_batch_can_be_stopped_while_it_runs() -> None:
    begun, release = threading.Event(), threading.Event()

    class Waiting(Plain):
        def close(self) -> None:
            release.set()

    def answer(request: object) -> Any:
        begun.set()
        release.wait(30)
        raise RunnerError("stopped")

    running = Batch(Waiting(answer), ["a"] * 9, 2, "skip", None)
    failures: list[Exception] = []

    def run() -> None:
        try:
            running.run()
        except RunnerError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30)
    running.close()
    thread.join(30)
    assert [str(error) for error in failures] == ["The batch was stopped."]


@pytest.mark.parametrize(
    ("asked", "more", "said"),
    [
        ("Hello", {}, "list of requests"),
        ([ChatCompletionRequest("a", stream=True)], {}, "does not stream"),
        ([7], {}, "ChatCompletionRequest"),
        (["a"], {"on_error": "raise"}, "Use skip, stop or retry"),
    ],
)
def test_what_is_no_batch_is_refused(asked: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        Batch(answers("x"), asked, 1, more.get("on_error", "stop"), None).run()


def test_an_empty_batch_is_empty() -> None:
    assert Batch(answers(), [], 4, "skip", None).run() == []
