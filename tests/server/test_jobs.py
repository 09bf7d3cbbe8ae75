"""Files and batch jobs through OpenAI's own client."""

import base64
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import openai
import pytest
from openai.types import Batch

from mistralrs_cli.errors import OptionError
from mistralrs_cli.server.jobs.lines import check_input
from mistralrs_cli.server.jobs.runner import BatchRunner
from mistralrs_cli.server.jobs.store import JobStore
from tests.server.conftest import Running, Start

ENDED = ("completed", "failed", "expired", "cancelled")
Line = dict[str, Any]


def body(text: str, image: Path | None = None, tokens: int = 4) -> Line:
    content: list[Line] = [{"type": "text", "text": text}]
    if image is not None:
        data = base64.b64encode(image.read_bytes()).decode()
        content.insert(0, {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
    return {
        "model": "default",
        "max_tokens": tokens,
        "temperature": 0,
        "messages": [{"role": "user", "content": content}],
    }


def line(name: str, body: Line, url: str = "/v1/chat/completions") -> Line:
    return {"custom_id": name, "method": "POST", "url": url, "body": body}


def endless(name: str) -> Line:
    """A line that does not end by itself while a test runs."""
    return line(name, body("hi", tokens=100_000) | {"ignore_eos": True})


def completed(batch: Batch) -> int:
    return 0 if batch.request_counts is None else batch.request_counts.completed


def upload(client: openai.OpenAI, lines: Sequence[Line]) -> str:
    data = "\n".join(map(json.dumps, lines)).encode()
    return client.files.create(file=("lines.jsonl", data), purpose="batch").id


def create(client: openai.OpenAI, lines: Sequence[Line], **more: Any) -> Batch:
    given: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"} | more
    return client.batches.create(input_file_id=upload(client, lines), **given)


def ended(client: openai.OpenAI, batch: Batch, seconds: float = 120) -> Batch:
    return wait(lambda: client.batches.retrieve(batch.id), lambda found: found.status in ENDED, seconds)


def wait(look: Callable[[], Batch], done: Callable[[Batch], bool], seconds: float = 120) -> Batch:
    until = time.monotonic() + seconds
    while not done(found := look()):
        assert time.monotonic() < until, found
        time.sleep(0.02)
    return found


def content(client: openai.OpenAI, name: str | None) -> list[Line]:
    return [] if name is None else [json.loads(text) for text in client.files.content(name).text.splitlines()]


@pytest.fixture
def kept(start: Start, tmp_path: Path) -> Running:
    return start(batch_folder=str(tmp_path / "jobs"))


@pytest.fixture
def jobs(kept: Running) -> openai.OpenAI:
    return kept.client()


def test_a_batch_with_pictures_answers_as_requests_do(kept: Running, jobs: openai.OpenAI, samples: Path) -> None:
    """In the order of its lines, with a line that fails alone, and with their tokens."""
    picture = next(samples.glob("*.jpg"))
    asked = [body("What is this?", picture if index % 2 else None, 3 + index) for index in range(6)]
    alone = [kept.chat(**each).json()["choices"][0]["message"] for each in asked]
    lines = [line(f"row {index}", each) for index, each in enumerate(asked)]
    lines.insert(3, line("wrong", body("hi") | {"model": "nothing"}))
    batch = ended(jobs, create(jobs, lines, metadata={"for": "a test"}))
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (7, 6, 1)
    found = content(jobs, batch.output_file_id)
    assert [each["custom_id"] for each in found] == [f"row {index}" for index in range(6)]
    assert [each["response"]["body"]["choices"][0]["message"] for each in found] == alone
    assert all(each["error"] is None and each["response"]["status_code"] == 200 for each in found)
    assert batch.usage is not None
    assert batch.usage.output_tokens == sum(each["response"]["body"]["usage"]["completion_tokens"] for each in found)
    (failed,) = content(jobs, batch.error_file_id)
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("wrong", 404)
    assert failed["response"]["body"]["error"]["code"] == "model_not_found"
    assert batch.metadata == {"for": "a test"}


@pytest.mark.parametrize(
    ("endpoint", "asked", "field"),
    [
        ("/v1/completions", {"prompt": "One, two,", "max_tokens": 3}, "choices"),
        ("/v1/responses", {"input": "Hello", "max_output_tokens": 3}, "output"),
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}, "content"),
    ],
)
def test_every_endpoint_that_generates(jobs: openai.OpenAI, endpoint: str, asked: Line, field: str) -> None:
    batch = ended(jobs, create(jobs, [line("one", asked, endpoint)], endpoint=endpoint))
    assert [each["response"]["body"][field] != [] for each in content(jobs, batch.output_file_id)] == [True]


def test_lines_that_are_none_fail_the_batch_before_it_begins(jobs: openai.OpenAI) -> None:
    good = line("one", body("hi"))
    others = [good, good | {"custom_id": "two", "url": "/v1/other"}, {"custom_id": "three"}]
    others.append(line("four", body("hi") | {"stream": True}))
    text = "\n".join([json.dumps(good), "{nonsense", *map(json.dumps, others)])
    file = jobs.files.create(file=("lines.jsonl", text.encode()), purpose="batch")
    made = jobs.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    batch = ended(jobs, made)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert [(error.line, error.code) for error in batch.errors.data or ()] == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "mismatched_endpoint"),
        (5, "missing_required_parameter"),
        (6, "invalid_request"),
    ]


def test_too_many_lines_and_none(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text("\n\n")
    assert check_input(path, "/v1/completions", 2)[1][0]["code"] == "empty_file"
    path.write_text("{}\n" * 3)
    assert [each["code"] for each in check_input(path, "/v1/completions", 2)[1]] == ["too_many_tasks"]


def test_a_cancelled_batch_keeps_what_it_has(jobs: openai.OpenAI) -> None:
    """A line without end is stopped; each line is in one of the two files."""
    lines = [
        line(f"{index}", body("hi", tokens=1 if index < 2 else 100_000) | {"ignore_eos": True}) for index in range(4)
    ]
    batch = create(jobs, lines)
    wait(
        lambda: jobs.batches.retrieve(batch.id),
        lambda found: bool(found.request_counts and found.request_counts.completed == 2),
    )
    with pytest.raises(openai.ConflictError, match="cancel it first"):
        jobs.files.delete(batch.input_file_id)
    assert jobs.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = ended(jobs, batch)
    assert batch.status == "cancelled"
    assert [each["custom_id"] for each in content(jobs, batch.output_file_id)] == ["0", "1"]
    left = content(jobs, batch.error_file_id)
    assert [(each["custom_id"], each["error"]["code"]) for each in left] == [
        ("2", "batch_cancelled"),
        ("3", "batch_cancelled"),
    ]
    with pytest.raises(openai.ConflictError, match="has ended"):
        jobs.batches.cancel(batch.id)
    assert jobs.files.delete(batch.input_file_id).deleted


def test_a_batch_ends_with_its_window(kept: Running, jobs: openai.OpenAI) -> None:
    """What is answered by then is kept; the others say why they are not."""
    lines = [line("short", body("hi", tokens=1)), line("long", body("hi", tokens=100_000) | {"ignore_eos": True})]
    batch = create(jobs, lines, completion_window="30m")
    wait(
        lambda: jobs.batches.retrieve(batch.id),
        lambda found: bool(found.request_counts and found.request_counts.completed),
    )
    assert batch.expires_at == batch.created_at + 1800
    runner = kept.service.batches
    assert isinstance(runner, BatchRunner)

    async def past() -> None:
        """As if it were later, and the server had been started again."""
        store = runner.store()
        kept = store.unfinished()[0]
        runner._tasks[kept.id].cancel()
        runner.begin(store.put_batch(type(kept)(**vars(kept) | {"expires_at": 1})))

    in_loop(kept, past)
    batch = ended(jobs, batch)
    assert batch.status == "expired"
    assert [each["custom_id"] for each in content(jobs, batch.output_file_id)] == ["short"]
    assert [each["error"]["code"] for each in content(jobs, batch.error_file_id)] == ["batch_expired"]


def in_loop(running: Running, work: Callable[[], Any]) -> None:
    """Run a coroutine on the server's event loop."""
    import asyncio

    assert isinstance(running.service.batches, BatchRunner)
    loop = next(iter(running.service.batches._tasks.values())).get_loop()
    asyncio.run_coroutine_threadsafe(work(), loop).result(60)


def test_lists_have_pages_and_keys_see_their_own(start: Start, tmp_path: Path) -> None:
    running = start(batch_folder=str(tmp_path / "jobs"), api_keys=("key-of-one", "key-of-two"))
    mine, theirs = running.client("key-of-one"), running.client("key-of-two")
    files = [upload(mine, [line("a", body(str(index)))]) for index in range(3)]
    pages = mine.files.list(limit=2)
    assert [file.id for file in pages] == files[::-1]
    assert not pages.data or len(pages.data) == 2
    assert [file.id for file in mine.files.list(order="asc", limit=1)] == files
    assert list(theirs.files.list()) == []
    for refused in (theirs.files.retrieve, theirs.files.delete, theirs.files.content):
        with pytest.raises(openai.NotFoundError):
            refused(files[0])
    with pytest.raises(openai.NotFoundError):
        theirs.batches.create(input_file_id=files[0], endpoint="/v1/chat/completions", completion_window="24h")
    batches = [
        mine.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h").id
        for file in files
    ]
    assert [batch.id for batch in mine.batches.list(limit=2)] == batches[::-1]
    assert list(theirs.batches.list()) == []
    for refuse in (theirs.batches.retrieve, theirs.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            refuse(batches[0])
    folder = tmp_path / "jobs"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not any(key in path.read_bytes() for path in folder.rglob("*.sqlite3*") for key in (b"key-of",))


def test_limits(start: Start, tmp_path: Path) -> None:
    """On the number of batches and the disk; what is refused leaves nothing behind."""
    running = start(batch_folder=str(tmp_path / "jobs"), batches=1, batch_disk=4000)
    client = running.client()
    with pytest.raises(openai.BadRequestError, match="together"):
        client.files.create(file=("large", b"x" * 5000), purpose="user_data")
    assert list((tmp_path / "jobs" / "files").iterdir()) == []
    batch = create(client, [endless("a")])
    with pytest.raises(openai.RateLimitError, match="1 batches"):
        create(client, [endless("a")])
    client.batches.cancel(batch.id)
    ended(client, batch)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"endpoint": "/v1/embeddings"}, "no batches of"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"metadata": {"a": "b" * 600}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "output_expires_after"),
    ],
)
def test_batches_that_are_refused(jobs: openai.OpenAI, changed: Line, message: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        create(jobs, [line("a", body("hi"))], **changed)


def test_files_that_are_refused(kept: Running, jobs: openai.OpenAI) -> None:
    for purpose, message in (("fine-tune", "no purpose"), ("batch", "expires_after.seconds")):
        with pytest.raises(openai.BadRequestError, match=message):
            jobs.files.create(
                file=("a", b"a"),
                purpose=purpose,  # type: ignore[arg-type]
                expires_after={"anchor": "created_at", "seconds": 1},
            )
    with pytest.raises(openai.BadRequestError, match="empty"):
        jobs.files.create(file=("a", b""), purpose="batch")
    file = jobs.files.create(
        file=("a", b"a"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at == file.created_at + 3600
    with pytest.raises(openai.BadRequestError, match="purpose"):
        jobs.batches.create(input_file_id=file.id, endpoint="/v1/completions", completion_window="24h")
    page = httpx.post(
        f"{kept.url}/v1/files",
        files={"file": b"a"},
        data={"purpose": "batch"},
        headers={"origin": "https://evil.example"},
    )
    assert page.status_code == 403


def test_lines_keep_to_the_media_policy(start: Start, tmp_path: Path, samples: Path) -> None:
    """A file that a request may not name, a line may not either."""
    running = start(batch_folder=str(tmp_path / "jobs"), local_files=False)
    client = running.client()
    asked = body("what?")
    asked["messages"][0]["content"].append(
        {"type": "image_url", "image_url": {"url": f"file://{next(samples.glob('*.jpg'))}"}}
    )
    batch = ended(client, create(client, [line("a", asked)]))
    assert [each["response"]["status_code"] for each in content(client, batch.error_file_id)] == [403]


def test_another_server_may_not_use_the_folder(kept: Running, jobs: openai.OpenAI, start: Start) -> None:
    upload(jobs, [line("a", body("hi"))])
    folder = kept.service.options.batch_folder
    other = start(batch_folder=folder)
    response = httpx.get(f"{other.url}/v1/files")
    assert response.status_code == 503
    assert "another server" in response.text


def test_off_where_there_is_no_folder(server: Running) -> None:
    assert httpx.get(f"{server.url}/v1/batches").status_code == 404


def test_files_whose_time_is_over_go(tmp_path: Path) -> None:
    import io

    from mistralrs_cli.server.jobs.records import StoredFile

    store = JobStore(tmp_path / "jobs", 1000)
    now = int(time.time())
    made = [StoredFile(f"file-{end}", "", "batch", "a", 1, now, end) for end in (now - 1, now + 1000)]
    for each in made:
        store.add_file(io.BytesIO(b"a"), lambda size, each=each: each)  # type: ignore[misc]
    assert [file.id for file in store.files("")] == [made[1].id]
    assert store.file(made[0].id, "") is None
    store.sweep()
    assert store.used == 1
    assert [path.name for path in (tmp_path / "jobs" / "files").iterdir()] == [made[1].id]
    with pytest.raises(OptionError, match="another server"):
        JobStore(tmp_path / "jobs", 1000)
    store.close()
    (tmp_path / "jobs" / "files" / "part-of-something").write_bytes(b"")
    JobStore(tmp_path / "jobs", 1000).close()
    assert len(list((tmp_path / "jobs" / "files").iterdir())) == 1


def test_a_batch_ends_once_and_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled by two at a time, or on a disk that is full halfway."""
    from mistralrs_cli.server.jobs.records import Batch as Job
    from mistralrs_cli.server.jobs.records import LineResult
    from mistralrs_cli.server.jobs.runner import output_file

    store = JobStore(tmp_path / "jobs", 1000)
    job = Job("batch_a", "", True, "/v1/completions", "file-a", "24h", 1, 2, "cancelling", end="cancelled")
    store.put_batch(job)
    store.add_result(job, LineResult(1, failed=False, line=b"{}\n"))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.finish(job, lambda *made: output_file(job, *made))
    assert list((tmp_path / "jobs" / "files").iterdir()) == []
    ended = store.finish(job, lambda *made: output_file(job, *made))
    assert store.finish(job, lambda *made: output_file(job, *made)) == ended
    assert [path.name for path in (tmp_path / "jobs" / "files").iterdir()] == [ended.output_file_id]
    assert store.used == 3
    store.close()


def test_a_killed_server_leaves_a_batch_that_the_next_one_ends(start: Start, tmp_path: Path) -> None:
    """Killed with -9: every line has one answer, and those of before are not given twice."""
    folder, socket = tmp_path / "jobs", tmp_path / "socket"
    words = ["-m", "mistralrs_cli", "serve", "--cpu", "--max-seqs", "1"]
    words += ["--uds", str(socket), "--batch-folder", str(folder)]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL) as process:
        try:
            transport = httpx.HTTPTransport(uds=str(socket))
            with httpx.Client(transport=transport, timeout=60) as http:
                until = time.monotonic() + 120
                while not (socket.exists() and ready(http)):
                    assert time.monotonic() < until
                    time.sleep(0.1)
                client = openai.OpenAI(api_key="-", base_url="http://localhost/v1/", http_client=cast(Any, http))
                lengths = (4, 4, 4, 300)  # the last one is under way when it is killed
                asked = [body(f"Count to {index}.", tokens=n) | {"ignore_eos": True} for index, n in enumerate(lengths)]
                batch = create(client, [line(str(index), each) for index, each in enumerate(asked)])
                found = wait(lambda: client.batches.retrieve(batch.id), lambda found: completed(found) >= 2)
        finally:
            process.send_signal(signal.SIGKILL)
    assert completed(found) < 4
    with sqlite3.connect(folder / "jobs.sqlite3") as kept:
        before = dict(kept.execute("SELECT number, line FROM results").fetchall())
    kept.close()
    client = start(batch_folder=str(folder)).client()
    batch = ended(client, batch)
    lines = content(client, batch.output_file_id)
    assert [each["custom_id"] for each in lines] == [str(index) for index in range(4)]
    assert [each for each in lines if int(each["custom_id"]) + 1 in before] == [
        json.loads(before[number]) for number in sorted(before)
    ]
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (4, 0)


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("http://localhost/ready").status_code == 200
    except httpx.TransportError:
        return False
