"""The front over small applications in this process: who answers, and what happens when one is lost, full or down."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from mistralrs_cli.errors import MistralrsError
from mistralrs_cli.options import ModelOptions, ServerOptions
from mistralrs_cli.registry import ModelSpec
from mistralrs_cli.registry.served import ServedModels
from mistralrs_cli.server.caller import BATCH_LINE
from mistralrs_cli.server.jobs import runner
from mistralrs_cli.server.jobs.lines import check_input
from mistralrs_cli.server.replicas.forwarded import (
    LOG,
    REPLICA,
    ForwardedRequest,
    WholeAnswer,
    answer,
    note,
    whole_answer,
)
from mistralrs_cli.server.replicas.front import front_app
from mistralrs_cli.server.replicas.front_service import FrontService
from mistralrs_cli.server.replicas.protocol import ReplicaLost
from mistralrs_cli.server.replicas.ring import HashRing, homes, ranked

CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "Say something."}]}
Result = TypeVar("Result")


class SmallApplication:
    """Answers with its name, whole or as a stream of three pieces. ``status`` may be another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = 200
        self.silence = False
        self.model_status = "unloaded"
        self.lines: list[object] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.bodies: list[bytes] = []
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        self.bodies.append(body)
        note({"event": "request", "status": self.status, "prompt_tokens": 7})
        headers = dict(scope["headers"])
        self.headers.append(headers)
        if body and json.loads(body).get("stream") and self.status == 200:
            scope["state"]["log_fields"] = {"prompt_tokens": 7}
            await StreamingResponse(self.pieces(receive), media_type="text/event-stream")(scope, receive, send)
        elif scope["path"].startswith("/v1/models"):
            name = json.loads(body).get("model", "a") if body else "a"
            found = {"id": name, "status": self.model_status}
            await JSONResponse({"data": [found]} if not body else found, self.status)(scope, receive, send)
        else:
            self.lines.append(scope["state"].get(BATCH_LINE))
            found = {"name": self.name, "path": scope["path"], "id": headers[b"x-request-id"].decode()}
            await JSONResponse(found, self.status)(scope, receive, send)

    async def pieces(self, receive: Receive) -> AsyncGenerator[bytes]:
        yield b": still here\n\n"
        for number in range(3):
            yield f"data: {self.name} {number}\n\n".encode()
        if self.silence:
            while (await receive())["type"] != "http.disconnect":
                continue
            self.left += 1


class FakeReplicas:
    """Applications in this process. ``lost_after`` is how many messages a replica gives before it is lost."""

    def __init__(self, count: int) -> None:
        self.apps = {f"r{number}": SmallApplication(f"r{number}") for number in range(count)}
        self.ring = HashRing(self.apps)
        self.lost_after: dict[str, int] = {}
        self.asked: list[str] = []
        self.closed = 0
        self.models = 1

    async def answer(
        self, request: ForwardedRequest, key: str | None, avoid: Collection[str], model: int | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        near = None if model is None else homes(self.ring.replicas, model, self.models, 1)
        if not (order := ranked(self.ring, key, {}, avoid, near=near)):
            raise ReplicaLost
        name = order[0]
        self.asked.append(name)
        left = self.lost_after.get(name, 10**9)
        if not left:  # Ray's router forgets what it cannot reach
            self.ring = HashRing(self.ring.replicas - {name})
            raise ReplicaLost
        yield {"type": REPLICA, "name": name}
        async with contextlib.aclosing(answer(self.apps[name], request)) as messages:
            try:
                async for message in messages:
                    yield message
                    left -= message["type"] != LOG
                    if not left:
                        raise ReplicaLost
            finally:
                self.closed += 1

    async def everywhere(self, request: ForwardedRequest, seconds: float) -> list[WholeAnswer]:
        return [await whole_answer(app, request) for app in self.apps.values()]

    async def metrics(self) -> Mapping[str, str]:
        text = '# HELP up Whether.\n# TYPE up gauge\nup 1.0\n# TYPE n counter\nn_total{path="/"} 2.0\n'
        return dict.fromkeys(self.apps, text)


class Setup:
    """A front over two replicas, its log lines, and a client for it."""

    def __init__(self, count: int = 2, models: Sequence[str] = ("fake",), **options: Any) -> None:
        self.replicas = FakeReplicas(count)
        self.replicas.models = len(models)
        specs = tuple(ModelSpec(name, ModelOptions(max_seqs=1)) for name in models)
        self.service = FrontService(ServerOptions(**options), ServedModels(specs, models[0]), "fake", most=count)
        self.service.replicas = self.replicas
        self.lines: list[dict[str, object]] = []
        self.app = front_app(self.service, self.lines.append)

    @property
    def first(self) -> SmallApplication:
        """The replica to which ``ASK`` belongs."""
        return self.replicas.apps[self.order[0]]

    @property
    def order(self) -> list[str]:
        from mistralrs_cli.server.replicas.affinity import conversation_key

        return list(self.replicas.ring.walk(conversation_key(CHAT, json.dumps(ASK).encode()) or ""))

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Result]]) -> Result:
        async def inside() -> Result:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await work(client)

        return asyncio.run(inside())

    def post(self, path: str = CHAT, headers: Mapping[str, str] | None = None, **fields: Any) -> httpx.Response:
        return self.run(lambda client: client.post(path, json=ASK | fields, headers=headers))

    def get(self, path: str) -> httpx.Response:
        return self.run(lambda client: client.get(path))


@pytest.fixture
def front() -> Setup:
    return Setup()


def test_a_conversation_stays_with_its_replica(front: Setup) -> None:
    turns = [*ASK["messages"], {"role": "assistant", "content": "A"}, {"role": "user", "content": "And?"}]
    assert front.post().json()["name"] == front.post(messages=turns).json()["name"] == front.first.name


def test_a_session_named_by_the_client_goes_before_the_conversation(front: Setup) -> None:
    other = next(
        name
        for name in (f"s{n}" for n in range(99))
        if front.replicas.ring.walk(f"session:{name}").__next__() != front.first.name
    )
    assert front.post(headers={"x-session-id": other}).json()["name"] != front.first.name


def test_the_replica_gets_body_path_and_id_as_they_came() -> None:
    front = Setup(root_path="/llm")
    found = front.run(lambda client: client.post(f"/llm{CHAT}", json=ASK, headers={"x-request-id": "abc"}))
    assert found.json() == {"name": front.first.name, "path": f"/llm{CHAT}", "id": "abc"}
    assert json.loads(front.first.bodies[0]) == ASK


def test_one_log_line_with_what_the_replica_says_of_its_answer(front: Setup) -> None:
    front.post()
    (line,) = front.lines
    assert (line["path"], line["status"], line["prompt_tokens"]) == (CHAT, 200, 7)
    assert line["replica"] == front.first.name


@pytest.mark.parametrize("messages", [0, 1, 2])
def test_a_whole_answer_of_a_lost_replica_is_given_by_another(front: Setup, messages: int) -> None:
    first, second = front.order
    front.replicas.lost_after[first] = messages
    answered = front.post()
    assert answered.status_code == 200
    assert answered.json()["name"] == (second if messages < 2 else first)  # the second message is the whole answer


@pytest.mark.parametrize("messages", [1, 2])
def test_a_stream_that_has_not_begun_is_answered_by_another(front: Setup, messages: int) -> None:
    first, second = front.order
    front.replicas.lost_after[first] = messages  # the status, and a comment
    answered = front.post(stream=True)
    assert answered.status_code == 200
    assert f"data: {second} 2" in answered.text
    assert first not in answered.text


@pytest.mark.parametrize(
    ("path", "kind"), [(CHAT, "data"), ("/v1/messages", "event: error\ndata"), ("/v1/responses", "event: error\ndata")]
)
def test_a_running_stream_ends_with_an_error_event(path: str, kind: str) -> None:
    front = Setup()
    front.replicas.lost_after = dict.fromkeys(front.replicas.apps, 3)  # the status, a comment, one piece
    answered = front.post(path, stream=True, input="Hi")
    *events, error, rest = answered.text.split("\n\n")
    assert (answered.status_code, len(events), rest) == (200, 2, "")
    assert error.startswith(f"{kind}: {{")
    assert "has ended. Send the request again." in error
    assert front.lines[0]["error"] == "engine_down"


@pytest.mark.parametrize("status", [429, 503])
def test_one_that_is_full_or_down_is_passed_over(front: Setup, status: int) -> None:
    front.first.status = status
    assert front.post().json()["name"] == front.order[1]


@pytest.mark.parametrize("status", [400, 401, 413, 500])
def test_other_errors_are_the_answer(front: Setup, status: int) -> None:
    front.first.status = status
    assert front.post().status_code == status
    assert front.replicas.asked == [front.first.name]


def test_where_all_are_full_the_client_hears_so(front: Setup) -> None:
    for app in front.replicas.apps.values():
        app.status = 429
    assert front.post().status_code == 429
    assert len(front.replicas.asked) == 3  # each of the two, and the first again, whose answer counts


def test_where_all_are_lost_the_client_hears_so(front: Setup) -> None:
    front.replicas.lost_after = dict.fromkeys(front.replicas.apps, 0)
    answered = front.post()
    assert answered.status_code == 503
    assert answered.json()["error"]["message"] == "No replica could answer. Try again later."
    assert answered.headers["retry-after"] == "5"


def test_one_metrics_page_for_all(front: Setup) -> None:
    text = front.get("/metrics").text
    assert 'up{replica="r0"} 1.0\nup{replica="r1"} 1.0\n' in text
    assert 'n_total{replica="r0",path="/"} 2.0' in text
    assert text.count("# TYPE up gauge") == 1
    assert "mistralrs_replicas 2.0" in text
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


def test_it_is_up_without_a_replica_and_not_ready() -> None:
    front = Setup()
    front.service.replicas = None
    assert front.get("/health").status_code == 200
    assert front.get("/ready").status_code == 503
    assert front.get("/v1/models").json()["data"][0]["status"] == "loading"
    assert front.post().status_code == 503


def test_keys_and_sizes_are_checked_before_a_body_is_read_whole() -> None:
    front = Setup(api_keys=("secret",), body=1000)
    assert front.post().status_code == 401
    allowed = {"Authorization": "Bearer secret"}
    assert front.post(headers=allowed, pad="x" * 2000).status_code == 413
    assert front.replicas.asked == []
    assert front.post(headers=allowed).status_code == 200


def test_more_requests_than_all_replicas_take_are_refused() -> None:
    front = Setup(count=2, queue=0)
    slots = front.service.concurrency.acquire(2)
    assert front.post().status_code == 429
    assert front.get("/ready").status_code == 200
    slots.release()
    assert front.post().status_code == 200
    assert front.service.concurrency.in_flight == 0


def test_an_ending_server_ends_its_streams_with_an_error_event(front: Setup) -> None:
    front.first.silence = True

    async def work(client: httpx.AsyncClient) -> str:
        asked = asyncio.ensure_future(client.post(CHAT, json=ASK | {"stream": True}))
        while not front.service.forwarded:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        front.service.draining = True
        assert (await client.post(CHAT, json=ASK)).status_code == 503
        front.service.end_all()
        return (await asked).text

    assert '"The server is shutting down. Try again later."' in front.run(work)
    assert front.service.forwarded == set()
    assert front.replicas.closed == 1


def test_a_client_that_leaves_cancels_its_request(front: Setup) -> None:
    front.first.silence = True
    sent: list[dict[str, Any]] = []
    begun = asyncio.Event()
    unread = [{"type": "http.request", "body": json.dumps(ASK | {"stream": True}).encode()}]

    async def receive() -> Any:
        if unread:
            return unread.pop()
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if b"2\n\n" in message.get("body", b""):
            begun.set()

    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": CHAT, "query_string": b"", "headers": []}
    asyncio.run(front.app(scope, receive, send))
    assert len(sent) == 5  # the status, a comment and three pieces
    assert (front.replicas.closed, front.service.forwarded) == (1, set())
    assert front.lines[0]["status"] == 499
    assert (front.lines[0]["prompt_tokens"], front.lines[0]["completion_tokens"]) == (7, 3)  # which its key has used
    assert front.service.concurrency.in_flight == 0


def test_keys_with_limits_are_held_by_the_front(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[alice]\nkey = "secret"\ntokens_per_minute = 10\n')
    keys.chmod(0o600)
    front = Setup(keys_file=str(keys))
    allowed = {"Authorization": "Bearer secret"}
    assert front.post().status_code == 401
    answered = front.post(headers=allowed)
    assert (answered.status_code, answered.headers["x-ratelimit-limit-tokens"]) == (200, "10")
    assert b"authorization" not in front.first.headers[0]  # what the front has checked goes no further
    front.post(headers=allowed)
    assert front.post(headers=allowed).status_code == 429  # two answers of 7 tokens, whichever replica gave them
    assert front.lines[1]["key"] == "alice"
    text = front.run(lambda client: client.get("/metrics", headers=allowed)).text
    assert 'mistralrs_key_tokens_total{key="alice"} 14.0' in text
    assert f'mistralrs_requests_total{{path="{CHAT}",status="200"}} 2.0' in text


def test_each_model_has_replicas_of_its_own_where_few_fit_into_one() -> None:
    front = Setup(models=("a", "b"))
    asked = [front.post(model=model, user=str(number)).json()["name"] for number in range(3) for model in ("a", "b")]
    assert asked == ["r0", "r1"] * 3
    front.replicas.apps["r0"].status = 429
    assert front.post(model="a").json()["name"] == "r1"  # which loads it


def test_models_are_loaded_and_unloaded_everywhere() -> None:
    front = Setup(models=("a", "b"))
    front.replicas.apps["r1"].model_status = "loaded"
    assert front.get("/v1/models").json() == {"data": [{"id": "a", "status": "loaded"}]}
    answered = front.run(lambda client: client.post("/v1/models/unload", json={"model": "a"}))
    assert answered.json() == {"id": "a", "status": "loaded"}
    assert all(len(app.bodies) == 2 for app in front.replicas.apps.values())
    front.first.status = 404
    assert front.get("/v1/models").status_code == 404


def lines_of(count: int) -> bytes:
    lines = [{"custom_id": str(n), "method": "POST", "url": CHAT, "body": ASK | {"user": str(n)}} for n in range(count)]
    return "\n".join(map(json.dumps, lines)).encode()


async def begun(client: httpx.AsyncClient, count: int) -> dict[str, Any]:
    """A batch of so many lines."""
    made = await client.post("/v1/files", files={"file": lines_of(count)}, data={"purpose": "batch"})
    found = await client.post("/v1/batches", json={"input_file_id": made.json()["id"], "endpoint": CHAT})
    batch: dict[str, Any] = found.json()
    return batch


async def ended(client: httpx.AsyncClient, batch: dict[str, Any]) -> dict[str, Any]:
    """The same batch once there is nothing left to do."""
    while batch["status"] not in ("completed", "failed"):
        await asyncio.sleep(0.01)
        batch = (await client.get(f"/v1/batches/{batch['id']}")).json()
    return batch


def test_a_key_has_limits_for_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[alice]\nkey = "secret"\nbatch_lines = 4\nbatch_concurrency = 1\n')
    keys.chmod(0o600)
    front = Setup(count=8, keys_file=str(keys), batch_folder=str(tmp_path / "jobs"))
    running = most = 0
    both_read, check = threading.Barrier(2), check_input

    def checked(*arguments: Any) -> tuple[int, list[dict[str, Any]]]:
        both_read.wait(60)
        return check(*arguments)

    monkeypatch.setattr(runner, "check_input", checked)

    async def work(client: httpx.AsyncClient) -> list[dict[str, Any]]:
        nonlocal running, most
        client.headers["Authorization"] = "Bearer secret"
        answer, gate = front.replicas.answer, asyncio.Event()

        async def counted(*arguments: Any) -> AsyncGenerator[dict[str, Any]]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await gate.wait()
            async for message in answer(*arguments):
                yield message
            running -= 1

        front.replicas.answer = counted  # type: ignore[method-assign, assignment]
        together = await asyncio.gather(begun(client, 4), begun(client, 4))  # each alone is within the limit
        ending = [asyncio.ensure_future(ended(client, batch)) for batch in together]
        await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        gate.set()
        found = [*await asyncio.gather(*ending)]
        monkeypatch.setattr(runner, "check_input", check)
        found.append(await ended(client, await begun(client, 5)))
        assert front.service.batches is not None
        await front.service.batches.stop()
        return found

    *both, large = front.run(work)
    assert sorted(batch["status"] for batch in both) == ["completed", "failed"]
    assert most == 1
    for refused in (*both, large):
        if refused["status"] == "failed":
            assert refused["errors"]["data"][0]["code"] == "enqueued_lines_limit"
    assert large["status"] == "failed"


def test_a_batch_whose_results_cannot_be_kept_gives_all_its_places_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "AGAIN", 0.001)
    front = Setup(count=1, batch_folder=str(tmp_path / "jobs"))
    batches = front.service.batches
    assert isinstance(batches, runner.BatchRunner)
    failures = 3

    async def work(client: httpx.AsyncClient) -> dict[str, Any]:
        nonlocal failures
        store = batches.store()
        add = store.add_result

        def failing(*arguments: Any) -> None:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise MistralrsError("The disk is full.")
            add(*arguments)

        monkeypatch.setattr(store, "add_result", failing)
        async with asyncio.timeout(60):
            found = await ended(client, await begun(client, 4))
        await batches.stop()
        return found

    assert front.run(work)["request_counts"]["completed"] == 4
    assert batches._running.total() == 0


def test_a_batch_is_kept_by_the_front_and_answered_by_replicas(tmp_path: Path) -> None:
    front = Setup(batch_folder=str(tmp_path / "jobs"))
    for app in front.replicas.apps.values():
        app.status = 429  # both are full

    async def work(client: httpx.AsyncClient) -> tuple[dict[str, Any], list[Any]]:
        batch = await begun(client, 6)
        while not front.replicas.asked:
            await asyncio.sleep(0.01)
        for app in front.replicas.apps.values():
            app.status = 200
        batch = await ended(client, batch)
        output = await client.get(f"/v1/files/{batch['output_file_id']}/content")
        assert front.service.batches is not None
        await front.service.batches.stop()
        return batch, [json.loads(line) for line in output.text.splitlines()]

    batch, output = front.run(work)
    assert batch["request_counts"] == {"total": 6, "completed": 6, "failed": 0}
    assert batch["usage"]["input_tokens"] == 6 * 7
    assert sorted(line["custom_id"] for line in output) == list("012345")
    assert {line["response"]["body"]["name"] for line in output} <= {"r0", "r1"}
    states = [state for app in front.replicas.apps.values() for state in app.lines]
    assert set(states) == {True}  # lines of a program of this machine, of priority batch
    assert "mistralrs_batch_lines_total" in front.get("/metrics").text
