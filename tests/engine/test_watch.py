"""A prompt is left in its midst when its caller leaves, and nobody else notices."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pytest

from mistralrs_cli.engine import Engine, EventStream
from mistralrs_cli.engine.runner import cancellation, model_runner
from mistralrs_cli.engine.runner.prefill import Prefill, begin
from mistralrs_cli.errors import GenerationError
from mistralrs_cli.events import Done, collect
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import picture

Tiny = Callable[[str], LoadedModel]
DRAWN = Sampling(max_tokens=8, temperature=0.0, ignore_eos=True)
LONG = Sampling(max_tokens=40, temperature=0.0, ignore_eos=True)
PATIENCE = 20.0  # seconds until what should happen counts as missing
FAMILIES = ["gemma4", "gemma3n", "qwen3_5", "mllama", "phi4mm", "minicpmo"]


def asked(*parts: Any) -> list[Message]:
    return [Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))]


class Prompt:
    """Stops in the midst of the next prompt, before module ``at`` until told to go on; counts all."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.begun = 0  # modules
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def step(self, *_: Any) -> None:
        self.begun += 1
        if self.begun == self.at:
            self.reached.set()
            assert self.go_on.wait(PATIENCE)
            time.sleep(1.5 * cancellation.INTERVAL)

    @contextmanager
    def watched(self, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        modules = cancellation.ForwardHooks(loaded.model).modules

        def watched(work: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any, **named: Any) -> Any:
                hooks = [module.register_forward_pre_hook(self.step) for module in modules]
                try:
                    return work(*arguments, **named)
                finally:
                    for hook in hooks:
                        hook.remove()

            return run

        with monkeypatch.context() as patch:
            patch.setattr(model_runner, "begin", watched(begin))
            patch.setattr(Prefill, "advance", watched(Prefill.advance))
            yield


def end_of(stream: EventStream) -> Any:
    """How a closed stream ended: what comes after the mark that it was closed."""
    assert stream._request.outbox.get(timeout=PATIENCE) is None
    return stream._request.outbox.get(timeout=PATIENCE)


@pytest.mark.parametrize("part", [0.2, 0.8])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_prompt_is_left_when_its_caller_leaves(
    name: str, part: float, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a tower or in the decoder; what goes on beside it and what comes after it is as ever."""
    loaded = tiny(name)
    first = asked(picture(7), "one")
    more = [*first, Message("assistant", (Text("yes"),)), *asked(picture(8), "and two")]
    with Engine(loaded) as plain:
        alone = plain.generate(asked("beside"), LONG).text
        expected = [plain.generate(first, DRAWN).text]
        whole = Prompt()
        with whole.watched(loaded, monkeypatch):
            expected.append(plain.generate(more, DRAWN).text)
    with Engine(loaded, prefixes=4) as engine:
        assert engine.generate(first, DRAWN).text == expected[0]
        left = Prompt(int(part * whole.begun))
        stays = engine.stream(asked("beside"), LONG)
        events = [next(stays), next(stays)]
        with left.watched(loaded, monkeypatch):
            leaver = engine.stream(more, DRAWN)
            assert left.reached.wait(PATIENCE)
            leaver.close()
            left.go_on.set()
            end = end_of(leaver)
        assert isinstance(end, Done)
        assert end.reason == "canceled"
        assert left.begun <= (left.at or 0) + 1
        assert collect(chain(events, stays)).text == alone
        assert [engine.generate(messages, DRAWN).text for messages in (more, first)] == expected[::-1]


def test_a_row_is_free_before_anothers_prompt_has_ended(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tiny("gemma4")
    with Engine(loaded) as engine:
        expected = engine.generate(asked("stays"), DRAWN).text
        leaver = engine.stream(asked("leaves"), Sampling(max_tokens=1500, temperature=0.0, ignore_eos=True))
        next(leaver), next(leaver)
        running: list[int] = []
        prompt = Prompt(5)
        step = prompt.step

        def counted(*_: Any) -> None:
            step()
            running.append(engine.running)

        monkeypatch.setattr(prompt, "step", counted)
        with prompt.watched(loaded, monkeypatch):
            stays = engine.stream(asked("stays"), DRAWN)
            assert prompt.reached.wait(PATIENCE)
            leaver.close()
            prompt.go_on.set()
            assert collect(stays).text == expected
        assert (running[0], running[6], running[-1]) == (2, 1, 1), "the prompt itself is one"


def test_closing_the_engine_does_not_wait_for_a_prompt(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, prompt = tiny("gemma4"), Prompt(5)
    engine = Engine(loaded)
    with prompt.watched(loaded, monkeypatch):
        stream = engine.stream(asked("hello"), DRAWN)
        assert prompt.reached.wait(PATIENCE)
        engine._scheduler._closing = True
        prompt.go_on.set()
        engine.close()
    assert prompt.begun <= 6
    with pytest.raises(GenerationError, match="closed"):
        collect(stream)
