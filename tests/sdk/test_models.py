"""A runner with several models: the demo model, and a tiny random one."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from mistralrs import ChatCompletionRequest, CompletionRequest, Runner, Which
from tests.checkpoints.fixtures import Written
from tests.registry.test_registry import until

TINY = "llama"


@pytest.fixture(scope="module")
def pair(written: Written) -> Iterator[Runner]:
    """At most one of them is in memory."""
    which: dict[str, Any] = {"small": Which.Plain("demo"), "other": f"{written(TINY)}@max-seqs=2,alias=tiny"}
    with Runner(which, max_models_loaded=1, cpu=True) as runner:
        yield runner


def say(runner: Runner, model_id: str | None = None, model: str = "default") -> str:
    request = ChatCompletionRequest("Hello", model=model, max_tokens=3, temperature=0, ignore_eos=True)
    return runner.send_chat_completion_request(request, model_id).model


def test_requests_name_models(pair: Runner, written: Written) -> None:
    assert pair.list_models() == ["small", "other"]
    assert pair.list_models_with_status() == [("small", "loaded"), ("other", "unloaded")]
    assert [say(pair), say(pair, "demo"), say(pair, "tiny"), say(pair, str(written(TINY)))] == [
        *("small", "small", "other", "other")
    ]
    assert (pair.get_model_status("small"), pair.is_model_loaded("tiny")) == ("unloaded", True)
    assert say(pair, model="tiny") == "other"
    assert say(pair, "small", model="tiny") == "small", "the argument beats the request"
    with pytest.raises(ValueError, match="There is no model large; this runner has small, other"):
        say(pair, "large")
    with pytest.raises(ValueError, match="There is no model large"):
        pair.set_default_model_id("large")


def test_the_default_can_change(pair: Runner) -> None:
    pair.set_default_model_id("other")
    try:
        assert (pair.get_default_model_id(), say(pair)) == ("other", "other")
        assert pair.detokenize_text(pair.tokenize_text("hello", False, model_id="small"), model_id="small") == "hello"
        assert pair.max_sequence_length("small") == 8192
        request = CompletionRequest("Hello", max_tokens=2, model="default", temperature=0, ignore_eos=True)
        assert pair.send_completion_request(request).model == "other"
    finally:
        pair.set_default_model_id("small")


def test_models_are_unloaded_and_come_back(pair: Runner) -> None:
    say(pair, "other")
    pair.unload_model("other")
    assert pair.list_models_with_status() == [("small", "unloaded"), ("other", "unloaded")]
    assert say(pair, "other") == "other", "as the original does, it is loaded when it is asked for"
    pair.unload_model("other")
    pair.reload_model("other")
    assert pair.get_model_status("other") == "loaded"


def test_a_model_that_is_answering_is_not_unloaded_for_another(pair: Runner) -> None:
    chunks = pair.send_chat_completion_request(
        ChatCompletionRequest("Hello", max_tokens=40, temperature=0, ignore_eos=True, stream=True), "small"
    )
    next(chunks)
    assert say(pair, "other") == "other"
    assert sum(chunk.usage.completion_tokens for chunk in chunks if chunk.usage) == 40
    until(lambda: pair.list_models_with_status() == [("small", "unloaded"), ("other", "loaded")])


def test_nothing_of_an_unloaded_model_is_left(pair: Runner) -> None:
    """Weights, engine and caches are freed by themselves: the garbage collector has nothing to find."""
    gc.disable()
    try:
        left: list[Any] = []
        for name in ("small", "other", "small"):
            say(pair, name)
            engine = pair._registry.find(name).engine
            assert engine is not None
            left += [weakref.ref(engine), weakref.ref(engine.loaded.model), weakref.ref(engine.prefixes)]
            del engine
        pair.unload_model("small")
        until(lambda: not any(one() is not None for one in left))
    finally:
        gc.enable()


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="names no model"):
        Runner([])
    with pytest.raises(ValueError, match="2 models are called demo"):
        Runner(["demo", "demo"])
    with pytest.raises(ValueError, match="there is no option bits"):
        Runner(["demo@bits=4"])
