"""Several models behind one server: two engines over the demo model's weights, which a registry starts and ends."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import EngineDown, ModelError
from mistralrs_cli.options import ModelOptions, ServerOptions
from mistralrs_cli.registry import ModelEntry, ModelRegistry, ModelSpec, RegistryLimits
from mistralrs_cli.server.app import create_app
from mistralrs_cli.server.backend import Backend
from mistralrs_cli.server.process import Server, listen
from mistralrs_cli.server.service import Service
from tests.registry.test_registry import until

from .conftest import Running

RED = "red_circle.png"
ANSWER: dict[str, Any] = {"messages": "hello", "max_tokens": 4, "temperature": 0}


@dataclass
class Several:
    """A server with models of its own. ``gates`` hold up loading, ``failures`` are raised by it, once each."""

    running: Running
    started: dict[str, list[Engine]] = field(default_factory=dict)
    gates: dict[str, threading.Event] = field(default_factory=dict)
    failures: dict[str, BaseException] = field(default_factory=dict)

    def ask(self, model: str, **fields: Any) -> httpx.Response:
        return self.running.chat(**ANSWER | {"model": model} | fields)

    def post(self, action: str, **fields: Any) -> Any:
        return self.running.post(f"/v1/models/{action}", **fields).json()

    def status(self, model: str) -> str:
        return str(httpx.get(f"{self.running.url}/v1/models/{model}").json()["status"])

    def entry(self, model: str) -> ModelEntry[Backend]:
        return self.running.service.model(model).entry

    def metric(self, line: str) -> float:
        text = httpx.get(f"{self.running.url}/metrics").text
        return next((float(found.split()[-1]) for found in text.splitlines() if found.startswith(line + " ")), 0.0)


Begin = Callable[..., Several]


@pytest.fixture
def begin(engine: Engine) -> Iterator[Begin]:
    """``begin(spec, …)`` serves models; each load is an engine of its own."""
    with contextlib.ExitStack() as stack:

        def begun(*specs: ModelSpec, loaded: int | None = None, patience: float = 5.0, **options: Any) -> Several:
            limits = RegistryLimits(loaded, patience)
            return stack.enter_context(serving_models(engine, specs, limits, options))

        yield begun


@contextlib.contextmanager
def serving_models(
    engine: Engine, specs: tuple[ModelSpec, ...], limits: RegistryLimits, options: dict[str, Any]
) -> Iterator[Several]:
    chosen = ServerOptions(port=0, **{"grace": 2.0} | options)
    listener = listen(chosen)

    def start(entry: ModelEntry[Backend]) -> Backend:
        if (gate := found.gates.get(entry.name)) is not None:
            assert gate.wait(60)
        if (failure := found.failures.pop(entry.name, None)) is not None:
            raise failure
        made = Engine(engine.loaded, max_rows=entry.spec.options.max_seqs, prefixes=4)
        found.started.setdefault(entry.name, []).append(made)
        return made

    registry = ModelRegistry[Backend](specs, start, limits)
    service = Service(chosen, specs[0].name, 1, registry)
    lines: list[dict[str, object]] = []
    server = Server(service, create_app(service, lines.append))
    found = Several(Running(service, listener.getsockname()[1], server, lines))
    thread = threading.Thread(target=server.serve_on, args=(listener, lambda service: registry.load_at_start()))
    thread.start()
    try:
        until(lambda: httpx.get(f"{found.running.url}/ready").status_code == 200)
        yield found
    finally:
        for gate in found.gates.values():
            gate.set()
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


def test_a_server_that_is_stopped_while_it_loads_ends_without_an_error() -> None:
    """As systemd stops one."""
    begun, goes_on = threading.Event(), threading.Event()

    def start(entry: ModelEntry[Backend]) -> Backend:
        begun.set()
        assert goes_on.wait(60)
        raise ModelError("not of interest any more")

    def load(service: Service) -> None:
        with registry.use(registry.default):
            pytest.fail("it was never loaded")

    registry = ModelRegistry[Backend]([spec("a")], start)
    service = Service(ServerOptions(port=0), "a", 1, registry)
    server = Server(service, create_app(service, lambda line: None))
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(server.serve_on(listen(service.options), load)))
    thread.start()
    assert begun.wait(60)
    server.should_exit = True
    thread.join(30)
    goes_on.set()
    assert ended == [False]


def spec(name: str, *aliases: str, rows: int = 4, **changes: Any) -> ModelSpec:
    return ModelSpec(name, ModelOptions(max_seqs=rows), aliases, **changes)


def test_openais_client_finds_and_swaps_models(begin: Begin) -> None:
    models = begin(spec("a", "gpt-4o-mini", load=True), spec("b"), loaded=1)
    with models.running.client() as client:
        listed = {model.id: model.model_dump() for model in client.models.list()}
        assert list(listed) == ["a", "gpt-4o-mini", "b"]
        assert [listed[name]["status"] for name in listed] == ["loaded", "loaded", "unloaded"]
        assert listed["a"]["input_modalities"] == ["text", "image", "audio", "video"]
        said = [
            client.chat.completions.create(model=name, messages=[{"role": "user", "content": "hello"}], temperature=0)
            for name in ("b", "gpt-4o-mini", "default")
        ]
        assert [each.model for each in said] == ["b", "a", "a"]
        assert len({each.choices[0].message.content for each in said}) == 1
        streamed = client.chat.completions.create(
            model="b", messages=[{"role": "user", "content": "hello"}], temperature=0, stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == said[0].choices[0].message.content
    assert [models.status(name) for name in ("a", "b")] == ["unloaded", "loaded"]
    assert {name: len(engines) for name, engines in models.started.items()} == {"a": 2, "b": 2}
    unknown = models.ask("c")
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "model")
    assert "a, gpt-4o-mini, b" in unknown.json()["error"]["message"]
    logged = [line.get("model") for line in models.running.lines if line.get("path") == "/v1/chat/completions"][:4]
    assert logged == ["b", "a", "a", "b"]


def test_batch_jobs_give_way_to_a_model_that_is_asked_for(begin: Begin, tmp_path: Path) -> None:
    """A line on the model that is loaded does not keep another from being loaded; it is answered later."""
    models = begin(spec("a", load=True), spec("b"), loaded=1, patience=0.05, batch_folder=str(tmp_path / "jobs"))
    url, path = models.running.url, "/v1/chat/completions"
    body = ANSWER | {"model": "a", "max_tokens": 4000, "ignore_eos": True}
    line = json.dumps({"custom_id": "1", "method": "POST", "url": path, "body": body}).encode()
    file = httpx.post(f"{url}/v1/files", files={"file": line}, data={"purpose": "batch"}).json()["id"]
    batch = models.running.post("/v1/batches", input_file_id=file, endpoint=path).json()["id"]
    until(lambda: len(models.running.service.active) == 1)
    assert models.ask("b").status_code == 200
    assert models.metric('mistralrs_answers_total{model="a",outcome="length"}') == 0, "it did not end by itself"
    assert models.metric('mistralrs_answers_total{model="a",outcome="failed"}') == 0
    found = httpx.get(f"{url}/v1/batches/{batch}").json()
    assert (found["status"], found["request_counts"]["failed"]) == ("in_progress", 0)
    until(lambda: len(models.started["a"]) == 2)
    models.running.post(f"/v1/batches/{batch}/cancel")


def test_two_models_share_no_cache(begin: Begin, samples: Path) -> None:
    models = begin(spec("a", load=True), spec("b"))
    part = {"type": "image_url", "image_url": str(samples / RED)}
    picture: Any = [{"role": "user", "content": [part, {"type": "text", "text": "What is this?"}]}]

    def reused(model: str) -> int:
        usage = models.ask(model, messages=picture).json()["usage"]
        return int(usage["prompt_tokens_details"]["cached_tokens"])

    assert [reused("a"), reused("b")] == [0, 0]
    assert reused("a") == reused("b") > 60
    items = 'mistralrs_encoder_items_total{{cache="{1}",model="{0}"}}'
    counts = [models.metric(items.format(name, cache)) for name in ("a", "b") for cache in ("miss", "hit")]
    assert counts[:2] == counts[2:]
    assert counts[0] > 0
    for name in ("a", "b"):
        assert models.metric(f'mistralrs_answers_total{{model="{name}",outcome="length"}}') == 2
        assert models.metric(f'mistralrs_model_loaded{{model="{name}"}}') == 1
    assert httpx.get(f"{models.running.url}/health").json()["models"] == {"a": "loaded", "b": "loaded"}


def test_requests_wait_for_a_model_within_the_queue_and_their_time(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b", rows=1), queue=2)
    models.gates["b"] = threading.Event()
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(models.ask("b"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(models.entry("b").waiting) == 2)
    assert models.status("b") == "loading"
    assert models.ask("a").status_code == 200, "the other goes on"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{models.running.url}/v1/chat/completions", json=ANSWER | {"model": "b"}, timeout=0.3)
    until(lambda: len(models.entry("b").waiting) == 2)
    third = threading.Thread(target=lambda: answers.append(models.ask("b")))
    third.start()
    until(lambda: len(models.entry("b").waiting) == 3)
    full = models.ask("b")
    assert (full.status_code, "retry-after" in full.headers) == (429, True)
    models.gates["b"].set()
    for thread in (*threads, third):
        thread.join(60)
    assert [answer.status_code for answer in answers] == [200] * 3
    assert models.running.service.in_flight == 0


def test_a_request_waits_no_longer_than_it_may(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b"), load_timeout=0.2)
    models.gates["b"] = threading.Event()
    late = models.ask("b")
    assert late.status_code == 503
    assert "b was not loaded within 0.2 s" in late.json()["error"]["message"]
    models.gates["b"].set()
    until(lambda: models.status("b") == "loaded")
    assert (models.ask("b").status_code, models.entry("b").users) == (200, 0)


def test_the_end_of_the_server_ends_waiting_for_a_model(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b"), grace=0.1)
    models.gates["b"] = threading.Event()
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(models.ask("b")))
    thread.start()
    until(lambda: len(models.entry("b").waiting) == 1)
    models.running.server.should_exit = True
    thread.join(60)
    assert [answer.status_code for answer in answers] == [503]


def test_a_model_that_cannot_be_loaded_fails_its_own_requests(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b"))
    models.failures["b"] = ModelError("the weights are broken", "Download them again.")
    failed = models.ask("b")
    assert failed.status_code == 500
    assert failed.json()["error"]["message"] == ("b could not be loaded: the weights are broken. Download them again.")
    listed = httpx.get(f"{models.running.url}/v1/models/b").json()
    assert (listed["status"], listed["error"]) == ("unloaded", "the weights are broken")
    assert (models.ask("a").status_code, models.ask("b").status_code) == (200, 200)
    assert "error" not in httpx.get(f"{models.running.url}/v1/models/b").json()
    assert httpx.get(f"{models.running.url}/ready").status_code == 200


def test_keep_alive_is_ollamas(begin: Begin) -> None:
    models = begin(spec("a", load=True, pinned=True), spec("b"))
    for value in ("5m", "-1", 300, -1):
        assert models.ask("b", keep_alive=value).status_code == 200
        assert (models.entry("b").expires is None) == (value in ("-1", -1))
    assert models.ask("b", keep_alive="soon").json()["error"]["param"] == "keep_alive"
    for value in (0, "0s"):
        models.ask("b", keep_alive=value)
        until(lambda: models.status("b") == "unloaded")
    pinned = models.ask("a", keep_alive=0)
    assert pinned.headers["x-ignored-fields"] == "keep_alive"
    assert models.status("a") == "loaded"
    whole: Any = {"input": "hello", "max_output_tokens": 2, "model": "b", "keep_alive": 0}
    assert models.running.post("/v1/responses", **whole).status_code == 200
    until(lambda: models.status("b") == "unloaded")
    assert len(models.started["b"]) == 3


def test_models_are_loaded_and_unloaded_by_name(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b"))
    assert models.post("status", model_id="b") == {"model_id": "b", "status": "unloaded"}
    assert models.post("load", model="b") == {"model_id": "b", "status": "loaded"}
    assert models.post("reload", model_id="b") == {"model_id": "b", "status": "loaded"}
    assert models.post("unload", model_id="b") == {"model_id": "b", "status": "unloaded"}
    assert models.post("unload", model_id="b") == {"model_id": "b", "status": "unloaded"}
    assert models.post("status") == {"model_id": "a", "status": "loaded"}
    assert len(models.started["b"]) == 2
    assert models.post("load", model="c")["error"]["code"] == "model_not_found"
    assert models.post("load", model="a", model_id="b")["error"]["param"] == "model_id"
    assert models.post("load", model="b", keep_alive=0)["status"] in ("loaded", "unloaded")
    until(lambda: models.status("b") == "unloaded")


def test_unloading_waits_for_running_answers(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b"))
    long: Any = {"model": "a", "messages": "Go on.", "max_tokens": 60, "ignore_eos": True, "stream": True}
    done: list[Any] = []
    with httpx.stream("POST", f"{models.running.url}/v1/chat/completions", json=long, timeout=60) as response:
        lines = response.iter_lines()
        next(lines)
        thread = threading.Thread(target=lambda: done.append(models.post("unload", model="a")))
        thread.start()
        assert [line for line in lines if line][-1] == "data: [DONE]"
    thread.join(60)
    assert done == [{"model_id": "a", "status": "unloaded"}]


def test_tokens_have_a_model_loaded_too(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b"), loaded=1)
    tokens = models.running.post("/tokenize", prompt="a red circle", model="b").json()["tokens"]
    assert models.running.post("/detokenize", tokens=tokens, model="a").json()["prompt"] == "a red circle"
    assert models.running.post("/v1/messages/count_tokens", messages="hi", model="b").json()["input_tokens"] > 0
    assert [models.status(name) for name in ("a", "b")] == ["unloaded", "loaded"]


def test_an_engine_that_is_down_is_started_again(begin: Begin) -> None:
    models = begin(spec("a", load=True), spec("b"))
    models.started["a"][0]._scheduler.failure = EngineDown("The engine is down: the disk is gone")
    down = models.ask("a")
    assert (down.status_code, down.json()["error"]["code"]) == (503, "engine_down")
    assert models.ask("a").status_code == 200
    assert len(models.started["a"]) == 2
    assert httpx.get(f"{models.running.url}/health").status_code == 200
