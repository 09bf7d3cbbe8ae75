"""Which models are loaded, by engines that only count: nothing here waits for a clock, but for a condition."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from mistralrs_cli.errors import ModelError, ModelNotFound, OptionError, OutOfMemory, ShuttingDown
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.registry import ModelEntry, ModelRegistry, ModelSpec, RegistryLimits
from mistralrs_cli.registry.registry import drop

LONG = 30.0  # seconds that a test waits for what takes milliseconds


class Memory:
    """Room for so many engines, and what became of them, in order."""

    def __init__(self, *names: str, room: int = 99, patience: float = 60.0, **changes: Any) -> None:
        self.room = room
        self.open: set[str] = set()
        self.happened: list[str] = []
        self.failures: dict[str, list[BaseException]] = {}
        self.gates: dict[str, threading.Event] = {}
        self.limits = RegistryLimits(changes.pop("loaded", None), patience)
        specs = [ModelSpec(name, ModelOptions(), **changes.get(name, {})) for name in names]
        self.models = ModelRegistry[Fake](specs, self.start, self.limits, crowded=self.crowded, on_event=self.note)

    def entry(self, name: str) -> ModelEntry[Fake]:
        return self.models.find(name)

    def start(self, entry: ModelEntry[Fake]) -> Fake:
        if (gate := self.gates.get(entry.name)) is not None:
            assert gate.wait(LONG)
        if failures := self.failures.get(entry.name):
            raise failures.pop(0)
        if len(self.open) >= self.room:
            raise OutOfMemory(f"{entry.name} does not fit.")
        self.open.add(entry.name)
        return Fake(self, entry.name)

    def crowded(self, entry: ModelEntry[Fake]) -> bool:
        return len(self.open) >= self.room

    def note(self, entry: ModelEntry[Fake], event: str) -> None:
        self.happened.append(f"{event} {entry.name}")

    def ask(self, name: str) -> str:
        """One answer of a model."""
        with self.models.use(self.entry(name)) as lease:
            return lease.engine.name

    def status(self, *names: str) -> list[str]:
        return [self.entry(name).status for name in names]


class Fake:
    """An engine that is only there."""

    def __init__(self, memory: Memory, name: str) -> None:
        self.memory = memory
        self.name = name

    def close(self) -> None:
        self.memory.open.discard(self.name)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)


def test_a_model_is_loaded_when_it_is_asked_for_and_then_stays() -> None:
    memory = Memory("a", "b", a={"aliases": ("first",)})
    assert memory.status("a", "b") == ["unloaded", "unloaded"]
    assert [memory.ask(name) for name in ("first", "default", "a")] == ["a", "a", "a"]
    assert memory.happened == ["loading a", "loaded a"]
    assert memory.status("a", "b") == ["loaded", "unloaded"]
    with pytest.raises(ModelNotFound, match="there are a, b"):
        memory.models.find("c")
    memory.models.set_default("b")
    assert memory.ask("default") == "b"
    memory.models.close()
    assert memory.open == set()


def test_the_least_recently_used_makes_room() -> None:
    memory = Memory("a", "b", "c", room=2)
    for name in ("a", "b", "a", "c"):
        memory.ask(name)
    until(lambda: len(memory.happened) == 7)
    assert memory.happened[4:] == ["unloaded b", "loading c", "loaded c"]
    assert memory.open == {"a", "c"}
    memory.models.close()


def test_a_number_of_models_may_be_the_limit() -> None:
    memory = Memory("a", "b", loaded=1)
    memory.ask("a")
    memory.ask("b")
    assert memory.open == {"b"}
    memory.models.close()


def test_one_that_answers_is_never_unloaded_and_the_other_waits() -> None:
    memory = Memory("a", "b", room=1)
    lease = memory.models.use(memory.entry("a"))
    waiting = memory.models.request(memory.entry("b"))
    until(lambda: memory.entry("b").loading)
    assert memory.models.use(memory.entry("a")).engine is lease.engine, "it goes on to answer"
    assert (memory.open, waiting.done(), memory.status("b")) == ({"a"}, False, ["loading"])
    for _ in range(2):  # releasing twice counts once
        lease.release()
    assert not waiting.done()
    memory.models.close()
    with pytest.raises(ShuttingDown):
        waiting.result(LONG)


def test_one_that_never_stops_answering_makes_room_in_the_end() -> None:
    """New requests of it wait behind the model that waited for it."""
    memory = Memory("a", "b", room=1, patience=0.0)
    first = memory.models.use(memory.entry("a"))
    waiting = memory.models.request(memory.entry("b"))
    until(lambda: memory.entry("a").unloading)
    second = memory.models.request(memory.entry("a"))
    assert not second.done()
    first.release()
    waiting.result(LONG).release()
    second.result(LONG).release()
    assert [event for event in memory.happened if event.startswith("loaded")] == ["loaded a", "loaded b", "loaded a"]
    memory.models.close()


def test_a_patient_request_takes_no_model_that_is_in_use() -> None:
    """It waits until the other was idle for long, and holds up no third one that is asked for meanwhile."""
    memory = Memory("a", "b", "c", loaded=1, patience=60.0)
    lease = memory.models.use(memory.entry("a"))
    patient = memory.models.request(memory.entry("b"), patient=True)
    lease.release()  # idle now, but not for long
    asked = memory.models.request(memory.entry("c"))
    asked.result(LONG).release()
    assert (memory.open, patient.done()) == ({"c"}, False)
    memory.models.unload(memory.entry("c")).result(LONG)
    patient.result(LONG).release()
    assert memory.open == {"b"}
    memory.models.close()


def test_a_patient_request_is_answered_once_the_others_are_idle() -> None:
    memory = Memory("a", "b", loaded=1, patience=0.05)
    memory.ask("a")
    memory.models.request(memory.entry("b"), patient=True).result(LONG).release()
    assert memory.open == {"b"}
    memory.models.close()


def test_a_pinned_model_makes_no_room_and_says_so() -> None:
    memory = Memory("a", "b", room=1, a={"pinned": True, "keep": 0.0})
    memory.ask("a")
    with pytest.raises(OutOfMemory, match="b does not fit"):
        memory.ask("b")
    assert memory.open == {"a"}
    with pytest.raises(OptionError, match="no room for the others"):
        Memory("a", "b", loaded=1, a={"pinned": True})
    with pytest.raises(OptionError, match="2 models are called a"):
        Memory("a", "b", b={"aliases": ("a",)})
    memory.models.unload(memory.entry("a")).result(LONG)
    assert memory.ask("b") == "b"
    memory.models.close()


def test_what_fails_to_load_fails_its_own_requests_and_can_be_tried_again() -> None:
    memory = Memory("a", "b")
    memory.gates["b"] = threading.Event()
    memory.failures["b"] = [ModelError("b is broken.")]
    asked = [memory.models.request(memory.entry("b")) for _ in range(3)]
    memory.gates["b"].set()
    for future in asked:
        with pytest.raises(ModelError, match="b is broken"):
            future.result(LONG)
    assert str(memory.entry("b").error) == "b is broken."
    assert (memory.ask("a"), memory.ask("b"), memory.entry("b").error) == ("a", "b", None)
    memory.models.close()


def test_too_little_memory_that_nobody_foresaw_unloads_another() -> None:
    memory = Memory("a", "b")
    memory.ask("a")
    memory.failures["b"] = [OutOfMemory("too large")]
    assert memory.ask("b") == "b"
    assert memory.open == {"b"}
    memory.models.close()


def test_who_leaves_has_nothing_loaded() -> None:
    memory = Memory("a", "b")
    memory.gates["a"] = threading.Event()
    loading = memory.models.request(memory.entry("a"))
    until(lambda: memory.entry("a").loading)
    left = memory.models.request(memory.entry("b"))
    drop(left)
    assert left.cancelled()
    drop(loading)
    memory.gates["a"].set()
    until(lambda: "loaded a" in memory.happened)
    assert (memory.entry("a").users, memory.status("a", "b")) == (0, ["loaded", "unloaded"])
    assert "loading b" not in memory.happened
    done = memory.models.request(memory.entry("a"))
    drop(done)
    assert memory.entry("a").users == 0
    memory.models.close()


def test_the_last_to_leave_gives_up_waiting_for_room() -> None:
    memory = Memory("a", "b", room=1)
    with memory.models.use(memory.entry("a")):
        waiting = memory.models.request(memory.entry("b"))
        until(lambda: memory.entry("b").loading)
        drop(waiting)
        until(lambda: not memory.entry("b").loading)
    assert (memory.status("a", "b"), memory.happened) == (["loaded", "unloaded"], ["loading a", "loaded a"])
    memory.models.close()


def test_idle_models_are_unloaded_after_their_time() -> None:
    memory = Memory("a", "b", "c", a={"keep": 0.0}, c={"keep": 1000.0})
    memory.ask("a")
    until(lambda: memory.status("a") == ["unloaded"])
    memory.ask("b")
    memory.ask("c")
    assert memory.entry("b").expires is None
    assert memory.entry("c").expires is not None
    lease = memory.models.use(memory.entry("b"))
    lease.keep = 0.0  # as a request may say
    lease.release()
    until(lambda: memory.status("b") == ["unloaded"])
    lease = memory.models.use(memory.entry("c"))
    lease.keep = float("inf")
    lease.release()
    assert memory.entry("c").expires is None
    memory.models.close()


def test_unloading_waits_for_what_is_answered() -> None:
    memory = Memory("a")
    lease = memory.models.use(memory.entry("a"))
    unloads: list[Future[None]] = [memory.models.unload(memory.entry("a")) for _ in range(2)]
    again = memory.models.request(memory.entry("a"))
    assert not any(done.done() for done in unloads)
    assert not again.done()
    lease.release()
    for future in unloads:
        future.result(LONG)
    again.result(LONG).release()
    assert (memory.entry("a").loads, memory.status("a")) == (2, ["loaded"])
    memory.models.close()
    with pytest.raises(ShuttingDown):
        memory.models.request(memory.entry("a"))


def test_what_is_loading_at_the_end_is_closed() -> None:
    memory = Memory("a")
    memory.gates["a"] = threading.Event()
    waiting = memory.models.request(memory.entry("a"))
    until(lambda: memory.entry("a").loading)
    memory.models.close()
    with pytest.raises(ShuttingDown):
        waiting.result(LONG)
    memory.gates["a"].set()
    until(lambda: memory.happened == ["loading a"] and memory.open == set() and not memory.entry("a").loading)
    assert memory.entry("a").engine is None


def test_models_that_are_wanted_at_once_are_loaded_in_order() -> None:
    memory = Memory("a", "b", "c", a={"load": True}, c={"load": True})
    memory.models.load_at_start()
    until(lambda: len(memory.happened) == 4)
    assert memory.happened == ["loading a", "loaded a", "loading c", "loaded c"]
    assert [entry.users for entry in memory.models.entries] == [0, 0, 0]
    memory.models.close()


def test_what_goes_wrong_beside_a_model_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """An engine that cannot be closed, and a log that cannot be written."""

    class Stuck(Fake):
        def close(self) -> None:
            super().close()
            raise RuntimeError("it does not end")

    memory = Memory("a", "b", room=1)
    memory.models.adopt(memory.entry("a"), Stuck(memory, "a"))
    memory.open.add("a")
    memory.models._on_event = None  # type: ignore[assignment]
    assert memory.ask("b") == "b"
    assert memory.status("a", "b") == ["unloaded", "loaded"]
    memory.models.close()
    assert "a could not be unloaded" in caplog.text


def test_why_an_engine_could_not_be_closed_is_reported() -> None:
    class Stuck(Fake):
        def close(self) -> None:
            raise RuntimeError("it does not end")

    reported: list[str] = []
    memory = Memory("a")
    memory.models._on_failure = lambda entry, error: reported.append(f"{entry.name}: {error}")
    memory.models.adopt(memory.entry("a"), Stuck(memory, "a"))
    memory.models.unload(memory.entry("a")).result(LONG)
    assert reported == ["a: it does not end"]


def test_many_threads_over_few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease has the engine of its model, and it is open for as long."""
    monkeypatch.setattr("mistralrs_cli.registry.registry.give_back", lambda _: None)  # it collects garbage, 200 times
    names = "abcdef"
    memory = Memory(*names, room=2, patience=0.0)
    wrong: list[str] = []

    def work(shift: int) -> None:
        for step in range(40):
            name = names[(step * shift + step) % len(names)]
            with memory.models.use(memory.entry(name)) as lease:
                if lease.engine.name != name or name not in memory.open or len(memory.open) > 2:
                    wrong.append(name)

    threads = [threading.Thread(target=work, args=(shift,)) for shift in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * LONG)
    assert not any(thread.is_alive() for thread in threads)
    assert (wrong, [entry.users for entry in memory.models.entries]) == ([], [0] * 6)
    memory.models.close()


def test_specs_are_values() -> None:
    spec = ModelSpec("a", ModelOptions(), ("b",))
    assert replace(spec, keep=1.0).names == ("a", "b")
