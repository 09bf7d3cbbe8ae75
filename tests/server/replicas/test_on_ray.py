"""Replicas on a real Ray Serve, for ``make test-ray``: it takes minutes, some GB, and the extra ``ray``."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
import yaml

from tests.server.conftest import Running
from tests.server.soak import good
from tests.server.test_together import ask

if os.environ.get("MISTRALRS_TEST_RAY") != "1":
    pytest.skip("not run: `make test-ray` runs it, in an environment with Ray", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE = 240.0  # seconds for a cluster, or a replica, to be there
ENVIRONMENT = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
PROGRAM = [sys.executable, "-m", "mistralrs_cli"]
LONG = {"messages": [{"role": "user", "content": "What can you do?"}], "temperature": 0}


def until(condition: Any, seconds: float = PATIENCE) -> Any:
    """What a condition returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if found := condition():
                return found
        time.sleep(0.2)
    raise AssertionError("waited in vain")


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def metric(url: str, name: str) -> float:
    """The sum of a metric over all replicas."""
    lines = httpx.get(f"{url}/metrics", timeout=30).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


@dataclass
class Process:
    """A program, and everything that it started."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""
    seen: set[psutil.Process] = field(default_factory=set)

    def replicas(self) -> list[psutil.Process]:
        """The processes of the replicas."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            self.seen.add(child)
            with contextlib.suppress(psutil.Error):
                if "Replica:" in child.cmdline()[0] and child.cmdline()[0].endswith(":Replica"):
                    found.append(child)
        return found

    def end(self, number: int = signal.SIGINT) -> int:
        """Stop it, and whatever it leaves behind."""
        if self.process.poll() is None:
            self.replicas()
            self.process.send_signal(number)
        try:
            return self.process.wait(60)
        finally:
            for one in self.seen:
                with contextlib.suppress(psutil.Error):
                    one.kill()
            self.process.kill()


@contextlib.contextmanager
def started(folder: Path, *words: str, **environment: str) -> Iterator[Process]:
    log = folder / f"log-{len(list(folder.iterdir()))}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=subprocess.STDOUT, env=ENVIRONMENT | environment, start_new_session=True
        )
    found = Process(process, log)
    try:
        yield found
    finally:
        found.end()
        print(log.read_text(errors="replace")[-3000:])


@contextlib.contextmanager
def serving(folder: Path, *words: str, **environment: str) -> Iterator[Process]:
    """``mistralrs serve`` with replicas, once it is ready."""
    port = free_port()
    with started(
        folder, *PROGRAM, "serve", "--replicas", "2", "-p", str(port), "--dtype", "f32", *words, **environment
    ) as process:
        process.url = f"http://127.0.0.1:{port}"
        until(lambda: process.process.poll() is not None or httpx.get(f"{process.url}/ready").status_code == 200)
        assert process.process.poll() is None
        yield process


@pytest.fixture(scope="module")
def down(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The process whose id is written here loses its engine."""
    return tmp_path_factory.mktemp("down") / "process"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, down: Path) -> Iterator[Process]:
    """Two replicas of the demo model on a cluster of this machine."""
    failing = str(Path(__file__).with_name("failing"))
    with serving(tmp_path_factory.mktemp("two"), PYTHONPATH=failing, MISTRALRS_TEST_DOWN=str(down)) as process:
        yield process


def client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0, timeout=300)


def test_thirty_two_mixed_requests_are_answered_as_by_one_process(two: Process, server: Running) -> None:
    bodies = (good() * 4)[:32]

    async def all_answers(url: str, *, together: bool) -> list[list[str]]:
        async with client(url) as asking:
            if together:
                return await asyncio.gather(*(ask(asking, body, stream=n % 2 == 0) for n, body in enumerate(bodies)))
            return [await ask(asking, body, stream=False) for body in bodies]

    alone = asyncio.run(all_answers(server.url, together=False))
    assert asyncio.run(all_answers(two.url, together=True)) == alone
    assert len({str(answer) for answer in alone}) > 5
    text = httpx.get(f"{two.url}/metrics", timeout=30).text
    replicas = {line.split('"')[1] for line in text.splitlines() if line.startswith("mistralrs_answers_total{")}
    assert len(replicas) == 2  # both have answered


def test_one_address_for_the_whole(two: Process) -> None:
    assert metric(two.url, "mistralrs_replicas") == 2
    (model,) = httpx.get(f"{two.url}/v1/models").json()["data"]
    assert (model["id"], model["status"]) == ("demo", "loaded")
    assert httpx.get(f"{two.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{two.url}/nothing").status_code == 404


def test_a_second_turn_finds_its_cache(two: Process) -> None:
    for number in range(8):
        messages = [{"role": "user", "content": f"What is in box {number}? {'It is large and red. ' * 20}"}]
        for turn in range(3):
            answered = httpx.post(
                f"{two.url}/v1/chat/completions", json={"messages": messages, "max_tokens": 8}, timeout=120
            )
            found = answered.json()
            usage = found["usage"]
            if turn:
                assert usage["prompt_tokens_details"]["cached_tokens"] > 0.5 * usage["prompt_tokens"]
            messages += [found["choices"][0]["message"], {"role": "user", "content": "And then?"}]


def test_limits_hold_in_each_replica(two: Process) -> None:
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}] * 300
    body = {"messages": [{"role": "user", "content": images}]}
    answered = httpx.post(f"{two.url}/v1/chat/completions", json=body, timeout=60)
    assert (answered.status_code, answered.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_client_that_leaves_frees_its_row(two: Process) -> None:
    before = metric(two.url, "mistralrs_answers_total")
    with httpx.stream(
        "POST",
        f"{two.url}/v1/chat/completions",
        json=LONG | {"stream": True, "max_tokens": 4000, "ignore_eos": True},
        timeout=60,
    ) as r:
        next(r.iter_lines())
    until(lambda: metric(two.url, "mistralrs_requests_in_flight") == 0)
    assert metric(two.url, "mistralrs_answers_total") > before


async def load(url: str, seconds: float, expected: str, outcomes: Counter[str], body: dict[str, Any] = LONG) -> None:
    """Ask again and again, whole and as streams, and count how each request ends."""
    end = time.monotonic() + seconds

    async def one(asking: httpx.AsyncClient, number: int) -> None:
        while time.monotonic() < end:
            stream = number % 2 == 0
            question = body | {"stream": stream, "user": str(number)}
            headers = {"x-session-id": f"session {number}"}
            try:
                answered = await asking.post(f"{url}/v1/chat/completions", json=question, headers=headers)
            except httpx.TransportError as error:
                outcomes[f"broken: {type(error).__name__}"] += 1
                continue
            if answered.status_code != 200:
                outcomes[f"status {answered.status_code}: {answered.text[:200]}"] += 1
                continue
            if not stream:
                right = answered.json()["choices"][0]["message"]["content"] == expected
                outcomes["whole" if right else "wrong"] += 1
                continue
            events = [line[6:] for line in answered.text.splitlines() if line.startswith("data: ")]
            parsed = [json.loads(event) for event in events if event != "[DONE]"]
            said = "".join(c["delta"].get("content") or "" for e in parsed for c in e.get("choices", ()))
            if events[-1] == "[DONE]":
                outcomes["streamed" if said == expected else "wrong"] += 1
            else:
                right = "has ended" in parsed[-1]["error"]["message"] and expected.startswith(said)
                outcomes["error event" if right else "wrong"] += 1

    async with httpx.AsyncClient(timeout=PATIENCE) as asking:
        await asyncio.gather(*(one(asking, number) for number in range(8)))


def under_load(url: str, event: Any, seconds: float = 20.0) -> Counter[str]:
    """How requests end while something happens."""
    answered = httpx.post(f"{url}/v1/chat/completions", json=LONG, timeout=120).json()
    expected = answered["choices"][0]["message"]["content"]
    outcomes: Counter[str] = Counter()

    async def both() -> None:
        work = asyncio.ensure_future(load(url, seconds, expected, outcomes))
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(event)
        await work

    asyncio.run(both())
    print(dict(outcomes))
    return outcomes


def test_a_replica_killed_under_load(two: Process) -> None:
    victim = two.replicas()[0]
    outcomes = under_load(two.url, victim.kill)
    assert set(outcomes) <= {"whole", "streamed", "error event"}
    assert outcomes["whole"] > 4
    assert outcomes["streamed"] > 4
    until(lambda: metric(two.url, "mistralrs_replicas") == 2)  # another one takes its place
    assert set(under_load(two.url, lambda: None, 5.0)) == {"whole", "streamed"}


def test_a_replica_whose_engine_is_down_is_replaced(two: Process, down: Path) -> None:
    before = {one.pid for one in two.replicas()}
    victim = two.replicas()[0]
    down.write_text(str(victim.pid))
    until(lambda: down.read_text() == "down")
    assert set(under_load(two.url, lambda: None, 4.0)) <= {"whole", "streamed"}  # the other one answers
    until(lambda: not victim.is_running() or victim.status() == "zombie")
    until(lambda: metric(two.url, "mistralrs_replicas") == 2)
    assert len({one.pid for one in two.replicas()} - before) == 1
    assert set(under_load(two.url, lambda: None, 4.0)) == {"whole", "streamed"}


def test_ctrl_c_ends_all_of_it(two: Process) -> None:
    assert len(two.replicas()) == 2
    assert two.end() == 130
    until(lambda: not any(one.is_running() and one.status() != "zombie" for one in two.seen))


def test_several_models_keys_and_batch_jobs(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[alice]\nkey = "a"\n[bob]\nkey = "b"\nrequests_per_minute = 2\n')
    keys.chmod(0o600)
    words = ("-m", "demo", "-m", "demo@name=other,alias=second,keep=10m", "--max-models-loaded", "1")
    more = ("--api-keys", str(keys), "--batch-folder", str(tmp_path / "jobs"))
    with serving(tmp_path, *words, *more) as process:
        base = f"{process.url}/v1"
        alice = openai.OpenAI(api_key="a", base_url=base, max_retries=0, timeout=300)
        bob = openai.OpenAI(api_key="b", base_url=base, max_retries=0, timeout=300)

        def said(client: openai.OpenAI, model: str, number: int = 0) -> str | None:
            asked = [{"role": "user", "content": f"{number}: what can you do?"}]
            done = client.chat.completions.create(model=model, messages=asked, temperature=0)  # type: ignore[arg-type]
            return done.choices[0].message.content

        def statuses() -> dict[str, str]:
            found = httpx.get(f"{base}/models", headers={"Authorization": "Bearer a"}, timeout=60).json()["data"]
            return {model["id"]: model["status"] for model in found}

        expected = [said(alice, "demo", number) for number in range(4)]
        assert [said(alice, "second", number) for number in range(4)] == expected  # the same weights
        assert statuses() == {"demo": "loaded", "other": "loaded", "second": "loaded"}  # each in one of the two
        unloaded = alice.post("/models/unload", body={"model": "other"}, cast_to=object)
        assert unloaded == {"model_id": "other", "status": "unloaded"}
        lines = [
            {
                "custom_id": f"{model} {number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": LONG
                | {"model": model, "messages": [{"role": "user", "content": f"{number}: what can you do?"}]},
            }
            for model in ("demo", "other", "none")
            for number in range(4)
        ]
        data = "\n".join(map(json.dumps, lines)).encode()
        file = alice.files.create(file=("lines.jsonl", data), purpose="batch")
        batch = alice.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        until(lambda: alice.batches.retrieve(batch.id).status == "completed")
        batch = alice.batches.retrieve(batch.id)
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (8, 4)
        found = [json.loads(line) for line in alice.files.content(batch.output_file_id or "").text.splitlines()]
        for line in found:
            number = int(line["custom_id"].split()[1])
            assert line["response"]["body"]["choices"][0]["message"]["content"] == expected[number]
        assert bob.batches.list().data == []

        assert [said(bob, "demo"), said(bob, "demo")] == [expected[0]] * 2
        with pytest.raises(openai.RateLimitError):
            said(bob, "demo")
        keys.write_text('[alice]\nkey = "a"\n[carol]\nkey = "c"\n')
        process.process.send_signal(signal.SIGHUP)
        carol = openai.OpenAI(api_key="c", base_url=base, max_retries=0, timeout=300)

        def known() -> bool:
            with contextlib.suppress(openai.AuthenticationError):
                return bool(carol.models.list().data)
            return False

        until(known)
        text = httpx.get(f"{process.url}/metrics", headers={"Authorization": "Bearer a"}, timeout=30).text
        assert 'mistralrs_key_requests_total{key="bob"} 3.0' in text or 'key="bob"} 2.0' in text


def test_one_of_two_nodes_is_lost(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    os.environ["RAY_AUTH_MODE"] = "disabled"
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False}
    )
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=10**8)
        with serving(tmp_path, "--ray-address", cluster.address, RAY_AUTH_MODE="disabled") as process:
            assert metric(process.url, "mistralrs_replicas") == 2
            outcomes = under_load(process.url, lambda: cluster.remove_node(second, allow_graceful=False), 30.0)
            assert set(outcomes) <= {"whole", "streamed", "error event"}
            assert outcomes["whole"] > 4
            assert process.end() == 130
    finally:
        cluster.shutdown()
        del os.environ["RAY_AUTH_MODE"]


@pytest.fixture
def head(tmp_path: Path) -> Iterator[str]:
    """A Ray cluster of one node with its dashboard's address, which ``serve deploy`` needs."""
    ray, port, dashboard = Path(sys.executable).with_name("ray"), free_port(), free_port()
    words = (str(ray), "start", "--head", "--block", "--port", str(port), "--dashboard-port", str(dashboard))
    more = ("--include-dashboard=true", "--num-cpus=4", "--object-store-memory=100000000", "--disable-usage-stats")
    with started(
        tmp_path, *words, *more, "--ray-client-server-port", str(free_port()), RAY_AUTH_MODE="disabled"
    ) as process:
        until(lambda: process.replicas() or httpx.get(f"http://127.0.0.1:{dashboard}/api/version").status_code == 200)
        yield f"http://127.0.0.1:{dashboard}"
        process.replicas()


def deploy(address: str, config: dict[str, Any], folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    serve = str(Path(sys.executable).with_name("serve"))
    subprocess.run(
        [serve, "deploy", "-a", address, str(path)],
        check=True,
        env=ENVIRONMENT | {"RAY_AUTH_MODE": "disabled"},
        timeout=120,
    )


def printed(*words: str) -> Any:
    found = subprocess.run([*PROGRAM, "serve", *words], check=True, capture_output=True, env=ENVIRONMENT, timeout=120)
    return yaml.safe_load(found.stdout)


def test_both_files_are_deployed_and_a_redeployment_drops_nothing(head: str, tmp_path: Path) -> None:
    port = free_port()
    words = ("--replicas", "1", "-p", str(port), "--gpus-per-replica", "0", "--dtype", "f32")
    url = f"http://127.0.0.1:{port}"
    config = printed(*words, "--print-ray-config")
    deploy(head, config, tmp_path)
    until(lambda: httpx.get(f"{url}/ready").status_code == 200)
    assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "demo"
    service = printed(*words, "--print-ray-service", "--insecure", "--served-model-name", "other")
    again = yaml.safe_load(service["spec"]["serveConfigV2"])
    again["http_options"] = config["http_options"]  # a running proxy keeps its address
    again["proxy_location"] = config["proxy_location"]

    def both() -> None:
        deploy(head, again, tmp_path)

        def renamed() -> bool:
            found = httpx.get(f"{url}/v1/models", timeout=60)
            assert found.status_code == 200, found.text
            return bool(found.json()["data"][0]["id"] == "other")

        until(renamed)

    outcomes = under_load(url, both, 60.0)
    assert set(outcomes) == {"whole", "streamed"}
    assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "other"
